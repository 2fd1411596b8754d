import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { ConformanceServer } from '../web/conformance-server.ts';
import type { Observations } from '../web/websocket-cases.ts';
import {
  compare,
  type Observed,
  selectionFor,
  themes,
  versions,
} from '../web/websocket-differences.ts';
import type { BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';

/** Runs the cases in a page, which gets them as they are. */
function observeIn(window: BrowserWindow, url: string, observed: Observed): Promise<unknown> {
  const selection = JSON.stringify(selectionFor(observed));
  return window.evaluate(`import('/modules/websocket-cases.js').then(({ observe }) => {
    const unhandled = [];
    addEventListener('error', (event) => unhandled.push(event.error?.message ?? event.message));
    return observe({ WebSocket, url: '${url}', unhandled }, ${selection});
  })`);
}

async function majorOf(window: BrowserWindow, name: string): Promise<string | undefined> {
  const agent = String(await window.evaluate('navigator.userAgent'));
  return new RegExp(`${name}/(\\d+)`).exec(agent)?.[1];
}

const browsers = [
  { kind: chromium, who: 'chromium', agent: 'Chrome' },
  { kind: firefox, who: 'firefox', agent: 'Firefox' },
] as const;

for (const { kind, who, agent } of browsers) {
  describe(`the cases over the WebSocket of ${kind.name}`, { skip: kind.skip }, () => {
    let observed: Observed;
    let observations: Observations;

    before(async () => {
      await using server = await ConformanceServer.start();
      await using browser = await kind.launch();
      const window = await browser.open();
      await window.goto(`http://${server.host}/`);
      observed = { who: [who], isExact: (await majorOf(window, agent)) === versions[who] };
      // A page of the cases gives what they say.
      observations = (await observeIn(window, `ws://${server.host}`, observed)) as Observations;
    });

    for (const [theme, members] of themes()) {
      test(theme, (t) => {
        const { seen, wanted, repaired } = compare(observations, members, observed);
        for (const one of repaired) t.diagnostic(`listed, and as the standard has it: ${one}`);
        assert.deepEqual(seen, wanted);
      });
    }
  });
}
