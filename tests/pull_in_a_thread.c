/* Pulls a batch of an Arrow stream in a thread that Python knows nothing of. Whoever calls it and keeps the interpreter
   lock meanwhile finds out whether pulling needs that. */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

struct pull {
    int (*get_next)(void *, void *);
    void *stream, *batch;
    int code;
};

static void *run(void *argument)
{
    struct pull *pull = argument;
    pull->code = pull->get_next(pull->stream, pull->batch);
    return NULL;
}

/* What get_next returned, or -1 if it did not within so many seconds. */
int pull_in_a_thread(int (*get_next)(void *, void *), void *stream, void *batch, int seconds)
{
    static struct pull pull;
    pull = (struct pull){get_next, stream, batch, -1};
    pthread_t thread;
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += seconds;
    if (pthread_create(&thread, NULL, run, &pull) || pthread_timedjoin_np(thread, NULL, &deadline))
        return -1;
    return pull.code;
}
