import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

// This file runs from build/web/.
const root = fileURLToPath(new URL('../../', import.meta.url));

/** What a bundler makes of a module for a browser, and of which files. */
export async function bundle(code: string): Promise<{ text: string; inputs: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: root, loader: 'js' },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return { text: outputFiles[0]?.text ?? '', inputs: Object.keys(metafile.inputs) };
}
