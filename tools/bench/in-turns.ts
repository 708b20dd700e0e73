/** Two things measured in turns, for the speed of a machine that others share changes within seconds. */

export interface Turn<A, B> {
  readonly a: A;
  readonly b: B;
}

export async function inTurns<A, B>(
  rounds: number,
  a: () => Promise<A>,
  b: () => Promise<B>,
): Promise<readonly Turn<A, B>[]> {
  const turns: Turn<A, B>[] = [];
  for (let round = 0; round < rounds; round++) {
    // Neither is always the one that finds the disk as the other left it.
    turns.push(round % 2 === 0 ? { a: await a(), b: await b() } : swapped(await b(), await a()));
  }
  return turns;
}

function swapped<A, B>(b: B, a: A): Turn<A, B> {
  return { a, b };
}
