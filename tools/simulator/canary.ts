export interface Canary {
  readonly name: string;
  /** Puts the bug in; the result takes it out. */
  plant(): () => void;
}

/** Replaces a method; `make` is given the original. `more` plants another beside it. */
export function patch<T extends object, K extends keyof T>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
  more: () => () => void = () => () => {},
): () => void {
  const original = target[name];
  target[name] = make(original);
  const takeOut = more();
  return () => {
    takeOut();
    target[name] = original;
  };
}
