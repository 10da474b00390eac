/* Loaded before the C library: makes every lock of an open file description fail, as on a file system without locks.
   The environment variable NO_LOCKS holds the error number. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

static int call(const char *name, int descriptor, int command, void *argument)
{
    if (command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK) {
        errno = atoi(getenv("NO_LOCKS"));
        return -1;
    }
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
    return real(descriptor, command, argument);
}

#define REPLACE(name)                                                                                                  \
    int name(int descriptor, int command, ...)                                                                        \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, command);                                                                                       \
        void *argument = va_arg(rest, void *);                                                                         \
        va_end(rest);                                                                                                  \
        return call(#name, descriptor, command, argument);                                                             \
    }

REPLACE(fcntl)
REPLACE(fcntl64)
