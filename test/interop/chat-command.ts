import { fileURLToPath } from 'node:url';
import { Command } from '../cli/command.ts';

// This file runs from build/interop/.
const main = fileURLToPath(new URL('../../apps/chat/dist/server/main.js', import.meta.url));

/** The chat as `npm start` runs it. */
export class ChatCommand extends Command {
  protected override commandLine(args: readonly string[]): readonly string[] {
    return [process.execPath, main, ...args];
  }
}
