import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuSeconds, residentBytes } from '../../bench/dist/process-usage.js';
import { Program, ProgramError } from '../../bench/dist/program.js';

function start(code: string, timeoutMs = 20_000): Program {
  return new Program('it', [process.execPath, '-e', code], undefined, timeoutMs);
}

function says(told: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof ProgramError && told.test(error.message);
}

test('a program is read line by line, and told lines', async () => {
  await using program = start(`
    console.log('one\\n{"two":2}');
    process.stdin.once('data', (line) => console.log('told ' + line));
  `);
  assert.equal(await program.line(), 'one');
  assert.deepEqual(await program.object(), { two: 2 });
  program.tell('something');
  assert.equal(await program.line(), 'told something');
  assert.equal(program.problem, undefined);
});

test('what should be a JSON object and is not is named', async () => {
  await using program = start(`console.log('oops'); console.log('null');`);
  await assert.rejects(program.object(), says(/^it said "oops"$/));
  await assert.rejects(program.object(), says(/^it said "null"$/));
});

test('one that ends tells its last lines first, then how it ended and why', async () => {
  await using program = start(`console.log('last'); throw new TypeError('broken');`);
  assert.equal(await program.line(), 'last');
  await assert.rejects(program.line(), says(/^it ended with code 1: TypeError: broken$/));
  assert.match(program.problem ?? '', /broken/);
});

test('one that cannot be started, is killed or takes too long says so', async () => {
  await using none = new Program('it', ['/nothing/here'], undefined, 20_000);
  await assert.rejects(none.line(), says(/^it .*ENOENT/));
  await using killed = start(`process.kill(process.pid, 'SIGKILL')`);
  await assert.rejects(killed.line(), says(/^it ended with SIGKILL$/));
  await using slow = start('setInterval(() => {}, 1000)', 30);
  await assert.rejects(slow.line(), says(/^it took longer than 0.03 s$/));
});

test('when it is disposed of it has ended', async () => {
  let pid = 0;
  {
    await using program = start(`console.log('up'); setInterval(() => {}, 1000)`);
    await program.line();
    pid = program.pid;
    process.kill(pid, 0);
  }
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('CPU time and memory of a process are read, where the system tells them', (t) => {
  if (process.platform !== 'linux') {
    t.skip('there is no /proc');
    return;
  }
  const before = cpuSeconds(process.pid);
  const { user, system } = process.cpuUsage();
  // Both count from the start; what is read is in hundredths.
  assert.ok(before !== undefined && Math.abs(before - (user + system) / 1e6) < 0.2);
  const rss = residentBytes(process.pid);
  assert.ok(rss !== undefined && Math.abs(rss / process.memoryUsage.rss() - 1) < 0.3);
  // No process has it.
  assert.equal(cpuSeconds(2 ** 31 - 1), undefined);
  assert.equal(residentBytes(2 ** 31 - 1), undefined);
});
