// Lets Node 20 run this project's TypeScript as it is: `node --import ./tools/ts.mjs FILE.ts`.
// Node ≥ 22.18 strips types itself. register() (unlike `import "tsx"`) covers worker threads too.
if (!process.features.typescript) {
  const { register } = await import("tsx/esm/api");
  register();
}
