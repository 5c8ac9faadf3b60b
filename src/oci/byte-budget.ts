/** Bytes that may be held at once; whoever wants more waits in line. */
export class ByteBudget {
  #free: number;
  readonly #line: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(bytes: number) {
    this.#free = bytes;
  }

  /** Resolves, first come first served, once `bytes` are set aside; call what it returns to give them back. */
  async reserve(bytes: number): Promise<() => void> {
    if (this.#line.length > 0 || this.#free < bytes) {
      await new Promise<void>((go) => this.#line.push({ bytes, go }));
    } else {
      this.#free -= bytes;
    }
    return () => this.#giveBack(bytes);
  }

  #giveBack(bytes: number): void {
    this.#free += bytes;
    for (let next = this.#line[0]; next !== undefined && next.bytes <= this.#free; next = this.#line[0]) {
      this.#line.shift();
      this.#free -= next.bytes;
      next.go();
    }
  }
}
