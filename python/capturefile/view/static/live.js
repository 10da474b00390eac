// Follows a file: the server tells how far it has grown, and a lost connection is made again.

export class Live {
  constructor(tell, lamp) {
    this.tell = tell; // Gets each state of the file.
    this.lamp = lamp; // Gets "live" or "lost".
  }

  follow(base) {
    this.source?.close();
    const source = new EventSource(`api/${base}/events`);
    this.source = source;
    source.onopen = () => this.lamp("live");
    source.onmessage = (event) => this.tell(JSON.parse(event.data));
    source.onerror = () => {
      this.lamp("lost");
      // The browser tries again by itself, unless the server refused it.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.source === source && this.follow(base), 2000);
    };
  }
}
