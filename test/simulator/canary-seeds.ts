/**
 * Where `npm run sim -- --canaries` caught each planted bug the last time. Every new fault or load changes what seeds draw:
 * then a seed here is merely the first of those that are tried, and the table should be made anew.
 */
export const CANARY_SEEDS: Readonly<Record<string, number>> = {};
