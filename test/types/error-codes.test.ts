/** Error codes are literals: a `switch` over them can be complete, and the compiler knows when it is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ApertoError,
  CloseCode,
  type ErrorCode,
  type ErrorRow,
  errorTable,
} from '../../dist/index.js';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_ extends true>(): void {}

expectType<Same<keyof typeof errorTable, ErrorCode>>();
expectType<Same<(typeof errorTable)[ErrorCode], ErrorRow>>();

/** Those that `connect` rejects with where the server or the network is at fault. */
type ConnectCode = Extract<
  ErrorCode,
  | 'STATUS_NOT_101'
  | 'RESPONSE_UPGRADE'
  | 'RESPONSE_CONNECTION'
  | 'ACCEPT_INVALID'
  | 'RESPONSE_PROTOCOL'
  | 'RESPONSE_EXTENSION'
  | 'HANDSHAKE_TIMEOUT'
  | 'CONNECT_FAILED'
>;

function advice(code: ConnectCode): string {
  switch (code) {
    case 'STATUS_NOT_101':
      return 'look at error.response';
    case 'RESPONSE_UPGRADE':
    case 'RESPONSE_CONNECTION':
    case 'ACCEPT_INVALID':
    case 'RESPONSE_PROTOCOL':
    case 'RESPONSE_EXTENSION':
      return 'the server does not speak WebSocket';
    case 'HANDSHAKE_TIMEOUT':
    case 'CONNECT_FAILED':
      return 'try again';
    default:
      // Compiles only while every code has its case.
      return code satisfies never;
  }
}

function incomplete(code: ConnectCode): string {
  switch (code) {
    case 'CONNECT_FAILED':
      return 'try again';
    default:
      // @ts-expect-error: codes are left.
      return code satisfies never;
  }
}

function misspelt(error: ApertoError): boolean {
  // @ts-expect-error: there is no such code.
  return error.code === 'HANDSHAKE_TIME_OUT';
}

const goingAway: 1001 = CloseCode.GOING_AWAY;
// @ts-expect-error: the codes are constants.
const notGoingAway: 1002 = CloseCode.GOING_AWAY;

test('error codes are the rows of the table', () => {
  assert.equal(advice('CONNECT_FAILED'), 'try again');
  assert.equal(incomplete('CONNECT_FAILED'), 'try again');
  assert.equal(misspelt(new ApertoError('HANDSHAKE_TIMEOUT', errorTable.HANDSHAKE_TIMEOUT)), false);
  assert.equal(goingAway, notGoingAway);
  // @ts-expect-error: there is no such code.
  assert.equal(errorTable.NO_SUCH_CODE, undefined);
});
