// Follows a file: the server reports its growth, and a lost connection is opened again.

export class Live {
  constructor(tell, lamp) {
    this.tell = tell; // Called with each state of the file.
    this.lamp = lamp; // Called with "live" or "lost".
  }

  follow(base) {
    this.source?.close();
    const source = new EventSource(`api/${base}/events`);
    this.source = source;
    source.onopen = () => this.lamp("live");
    source.onmessage = (event) => this.tell(JSON.parse(event.data));
    source.onerror = () => {
      this.lamp("lost");
      // The browser reconnects automatically, unless the server has refused the connection.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.source === source && this.follow(base), 2000);
    };
  }
}
