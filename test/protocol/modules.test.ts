import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { test } from 'node:test';

// This file runs from build/protocol/.
const root = new URL('../../', import.meta.url);

const modules = readdirSync(new URL('src/protocol/', root), { recursive: true })
  .map((path) => String(path).split(sep).join('/'))
  .filter((path) => path.endsWith('.ts'))
  .map((path) => path.slice(0, -'.ts'.length));

test('every module of the protocol that does something has a test of its own', async () => {
  assert.ok(modules.length > 20);
  const without: string[] = [];
  for (const module of modules) {
    // Loading all of them also has the coverage count those that no test loads.
    const names = Object.keys(await import(new URL(`dist/protocol/${module}.js`, root).href));
    const hasTest = existsSync(new URL(`test/protocol/${module}.test.ts`, root));
    if (names.length > 0 && !hasTest) without.push(module);
  }
  assert.deepEqual(without, []);
});

test('no module of the protocol imports anything outside of it', () => {
  for (const module of modules) {
    const path = `dist/protocol/${module}.js`;
    for (const [, specifier = ''] of readFileSync(new URL(path, root), 'utf8').matchAll(
      /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g,
    )) {
      const target = new URL(specifier, new URL(path, root));
      assert.ok(
        specifier.startsWith('.') && target.pathname.includes('/dist/protocol/'),
        `${module} imports ${specifier}`,
      );
    }
  }
});
