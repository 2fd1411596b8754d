import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acceptOffers,
  checkAccepted,
  type DeflateAgreement,
  deflateOffer,
  type ResolvedCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import {
  agreement,
  CLIENT_BITS,
  CLIENT_NO,
  deflate,
  parse,
  resolve,
  SERVER_BITS,
  SERVER_NO,
} from './deflate-header.ts';

const anyOptions: fc.Arbitrary<ResolvedCompression> = fc
  .record({
    takeover: fc.boolean(),
    windowBits: fc.integer({ min: 9, max: 15 }),
    peerWindowBits: fc.integer({ min: 8, max: 15 }),
  })
  .map(resolve);

test('fault 66: the client offers client_max_window_bits in any case, so it may be answered', () => {
  // A client that does not compress offers nothing, and refuses whatever is accepted: fault 24.
  fc.assert(
    fc.property(anyOptions, (options) => {
      const [offer] = parse(deflateOffer(options));
      assert.ok(offer?.params.some(([name]) => name === CLIENT_BITS));
    }),
  );
});

function expectMirrored(client: DeflateAgreement, server: DeflateAgreement): void {
  assert.equal(client.deflateTakeover, server.inflateTakeover);
  assert.equal(server.deflateTakeover, client.inflateTakeover);
  assert.ok(client.deflateWindowBits <= server.inflateWindowBits);
  assert.ok(server.deflateWindowBits <= client.inflateWindowBits);
}

test('both sides come to the same agreement, whatever their options', () => {
  fc.assert(
    fc.property(anyOptions, anyOptions, (clientOptions, serverOptions) => {
      const accepted = acceptOffers(parse(deflateOffer(clientOptions)), serverOptions);
      // Only a window that raw deflate cannot keep to stands between them.
      assert.equal(accepted === undefined, clientOptions.peerWindowBits === 8);
      if (accepted === undefined) return;
      const own = checkAccepted(parse(accepted.response), clientOptions);
      assert.ok(typeof own === 'object', `${own}: ${accepted.response}`);
      expectMirrored(own, accepted.agreement);
      // Nobody does what it was not set to do.
      for (const [{ deflateTakeover, deflateWindowBits, inflateTakeover }, options] of [
        [own, clientOptions],
        [accepted.agreement, serverOptions],
      ] as const) {
        assert.ok(options.takeover || !(deflateTakeover || inflateTakeover));
        assert.ok(deflateWindowBits <= options.windowBits);
      }
      assert.ok(own.inflateWindowBits <= clientOptions.peerWindowBits);
      assert.ok(accepted.agreement.inflateWindowBits <= serverOptions.peerWindowBits);
    }),
    { numRuns: 1000 },
  );
});

test('what other clients may offer is answered as they must be able to take it', () => {
  const bits = fc.integer({ min: 8, max: 15 });
  const anyOffer = fc.record({
    serverNo: fc.boolean(),
    clientNo: fc.boolean(),
    serverBits: fc.option(bits, { nil: undefined }),
    clientBits: fc.option(fc.option(bits, { nil: undefined }), { nil: null }),
  });
  fc.assert(
    fc.property(
      fc.array(anyOffer, { minLength: 1, maxLength: 4 }),
      anyOptions,
      fc.boolean(),
      (offers, options, reversed) => {
        const header = offers.map(({ serverNo, clientNo, serverBits, clientBits }) => {
          const parameters = [
            ...(serverNo ? [SERVER_NO] : []),
            ...(clientNo ? [CLIENT_NO] : []),
            ...(serverBits === undefined ? [] : [`${SERVER_BITS}=${serverBits}`]),
            ...(clientBits === null ? [] : [CLIENT_BITS + (clientBits ? `=${clientBits}` : '')]),
          ];
          return deflate(...(reversed ? parameters.reverse() : parameters));
        });
        const accepted = acceptOffers(parse(header.join(', ')), options);
        const offer = offers.find(({ serverBits }) => serverBits !== 8);
        assert.equal(accepted === undefined, offer === undefined);
        if (accepted === undefined || offer === undefined) return;
        const [response, ...more] = parse(accepted.response);
        assert.ok(response !== undefined && more.length === 0);
        const answered = new Map(response.params);
        assert.equal(answered.size, response.params.length);
        // What the client asked for is there; its window is only spoken of where it offered to.
        assert.ok(answered.has(SERVER_NO) || !offer.serverNo);
        assert.equal(answered.has(SERVER_BITS), offer.serverBits !== undefined);
        assert.ok(offer.clientBits !== null || !answered.has(CLIENT_BITS));
        const serverBits = Number(answered.get(SERVER_BITS) ?? 15);
        const clientBits = Number(answered.get(CLIENT_BITS) ?? 15);
        assert.ok(serverBits <= (offer.serverBits ?? 15));
        assert.ok(clientBits <= (offer.clientBits ?? 15));
        // What the client makes of it.
        expectMirrored(
          agreement(!answered.has(CLIENT_NO), clientBits, !answered.has(SERVER_NO), serverBits),
          accepted.agreement,
        );
      },
    ),
    { numRuns: 1000 },
  );
});
