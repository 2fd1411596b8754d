import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The program of that name in the first of the folders that has it. */
export function findIn(folders: readonly string[], name: string): string | undefined {
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What the variable says, or where PATH has it, or where servers are, where a user's PATH does not look. */
export function findProgram(name: string, variable: string): string | undefined {
  const given = process.env[variable] ?? '';
  if (given !== '') return given;
  const path = (process.env['PATH'] ?? '').split(delimiter);
  return findIn([...path, '/usr/sbin', '/usr/local/sbin'], name);
}

/** Why there can be no such test; false where there can. */
export function skipWithout(name: string, ...programs: (string | undefined)[]): string | false {
  if (programs.every((program) => program !== undefined)) return false;
  return `${name} is not installed (scripts/install-test-tools.sh installs it on Debian)`;
}
