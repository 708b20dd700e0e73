/** Lets many wait for the next time that something happens. */
export class Signal {
  #waiters: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  tell(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
