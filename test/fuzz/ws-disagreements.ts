/**
 * Where `ws` and Aperto make different things of the same bytes; docs/ws-disagreements.md is made of it. The fuzzing fails
 * where they differ and it is not here, ws-disagreements.test.ts where something here is no longer so.
 */
import type { DeflateAgreement } from '../../dist/protocol/extensions/permessage-deflate.js';
import { NO_TAKEOVER, TAKEOVER } from '../protocol/test-compression.ts';
import { type DecodedFrame, decodeFrames } from '../reference-codec.ts';
import type { StreamEvent, StreamLimits } from './stream-events.ts';

/**
 * What one makes of the bytes where they part ways: `message`, `empty message`, `control` for another event, `waits` for
 * more bytes, or the name of a failure, where `corrupt` stands for all names of zlib's.
 */
type Kind = string;

interface Seen {
  readonly frames: readonly DecodedFrame[];
  readonly takeover: boolean;
  /** Whether they have delivered an empty message before. */
  readonly wasEmpty: boolean;
  /** Whether what they have delivered is the beginning of what we have. */
  readonly isBeginning: boolean;
}

export interface Disagreement {
  /** What a peer does. */
  readonly about: string;
  readonly weDo: string;
  readonly theyDo: string;
  readonly right: 'Aperto' | 'ws' | 'both';
  readonly section: string;
  readonly why: string;
  /** Frames that show it, in hexadecimal. */
  readonly example: string;
  /** What was agreed on. */
  readonly agreement?: DeflateAgreement;
  /** Whether the frames are for a server; else they are for a client. */
  readonly isToServer?: true;
  readonly isIt: (ours: Kind, theirs: Kind, seen: Seen) => boolean;
}

const firstByte = [
  'CONTINUATION_UNEXPECTED',
  'CONTROL_FRAGMENTED',
  'MESSAGE_INTERLEAVED',
  'RESERVED_BITS',
  'RESERVED_OPCODE',
];

/** Why we do not deliver what has been inflated. */
const refused = ['INVALID_UTF8', 'INFLATE_CORRUPT', 'MESSAGE_TOO_BIG', 'INFLATION_RATIO'];

export const disagreements: readonly Disagreement[] = [
  {
    about: 'A length in more bytes than it needs',
    weDo: '1002',
    theyDo: 'take the frame',
    right: 'Aperto',
    section: 'RFC 6455 5.2',
    why: 'the minimal number of bytes must be used',
    example: '827e000161',
    // Whatever comes next.
    isIt: (ours) => ours === 'LENGTH_NOT_MINIMAL',
  },
  {
    about: 'A length of 64 bits with the highest one set',
    weDo: '1002',
    theyDo: '1009',
    right: 'Aperto',
    section: 'RFC 6455 5.2, 7.4.1',
    why: 'that bit must be 0, so it is an error of the protocol and no length',
    example: '827f8000000000000001',
    isIt: (ours, theirs) =>
      ours === 'LENGTH_MOST_SIGNIFICANT_BIT' && theirs === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH',
  },
  {
    about: 'A byte that is not UTF-8, in text that is not finished',
    weDo: '1007 at that byte',
    theyDo:
      '1007 once the message is complete; until then they hear control frames, and other errors first',
    right: 'both',
    section: 'RFC 6455 8.1',
    why: 'the RFC does not say when; a peer that never finishes is held as long as it likes',
    example: '0101ff',
    isIt: (ours, theirs) => ours === 'INVALID_UTF8' && !theirs.endsWith('message'),
  },
  {
    about: 'A frame whose first byte is wrong, and nothing after it yet',
    weDo: '1002 at once',
    theyDo: '1002 with the second byte',
    right: 'both',
    section: 'RFC 6455 7.1.7',
    why: 'the same, later',
    example: '83',
    isIt: (ours, theirs) => firstByte.includes(ours) && theirs === 'waits',
  },
  {
    about: 'One fragment too many, whose payload has not come',
    weDo: '1008 at its header',
    theyDo: '1008 once it is complete',
    right: 'both',
    section: 'RFC 6455 10.4',
    why: 'the same, later',
    example: '0200 0000 0000 0000 0000 0000 0001',
    isIt: (ours, theirs) =>
      ours === 'TOO_MANY_FRAGMENTS' &&
      (theirs === 'waits' || theirs === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'),
  },
  {
    about: 'A close frame of one byte, which has not come yet',
    weDo: '1002 with that byte',
    theyDo: '1002 at its header',
    right: 'both',
    section: 'RFC 6455 5.5.1',
    why: 'the same, earlier',
    example: '8801',
    isIt: (ours, theirs) => ours === 'waits' && theirs === 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH',
  },
  {
    about: 'A length over the limit, before the mask has come',
    weDo: '1009 once the header is complete',
    theyDo: '1009 before the mask',
    right: 'both',
    section: 'RFC 6455 10.4',
    why: 'the same, earlier; neither waits for the payload',
    example: '82fe0fff',
    isToServer: true,
    isIt: (ours, theirs) => ours === 'waits' && theirs === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  },
  {
    about:
      'A fragment of a compressed message that does not inflate, and another error behind it, or nothing yet',
    weDo: 'inflate the message when it is complete, so the other error comes first',
    theyDo: '1007 at the fragment',
    right: 'both',
    section: 'RFC 7692 6.2, 7.2.2',
    why: 'a message is decompressed from the payloads of all its frames; nothing says when',
    example: '420107 8300',
    agreement: NO_TAKEOVER,
    isIt: (ours, theirs) =>
      theirs === 'corrupt' && !ours.endsWith('message') && ours !== 'INFLATE_CORRUPT',
  },
  {
    about:
      'Fragments of a compressed message that inflate to more than the limit, and are not all there yet',
    weDo: 'inflate the message when it is complete, so what stands between its fragments comes first',
    theyDo: '1009 at the fragment',
    right: 'both',
    section: 'RFC 6455 10.4, RFC 7692 6.2',
    why: 'what comes in is bounded by its compressed size, what goes out by its size',
    example: '4216 aaa81805a360148c8251300a46c1500700000000ffff 8900',
    agreement: NO_TAKEOVER,
    isIt: (ours, theirs) =>
      !ours.endsWith('message') && theirs === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  },
  {
    about: 'A message within the limit that compression has made longer than the limit',
    weDo: 'take it',
    theyDo: '1009',
    right: 'both',
    section: 'RFC 6455 10.4',
    why: 'a limit is what an application sets it to; ours is for the message, and leaves what deflate may add to it',
    // A stored block of 1,000 bytes.
    example: `c27e03ee 00 e803 17fc ${'00'.repeat(1_000)} 00`,
    agreement: NO_TAKEOVER,
    isIt: (ours, theirs) => ours === 'message' && theirs === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  },
  {
    about: 'A compressed message that stops inside a block',
    weDo: '1007',
    theyDo: 'deliver what came of it',
    right: 'Aperto',
    section: 'RFC 7692 7.2.1, 7.2.2',
    why: 'a payload ends with an empty block whose last four bytes are left out; this was cut off',
    example: 'c1024a04',
    agreement: NO_TAKEOVER,
    isIt: (ours, theirs) => ours === 'INFLATE_CORRUPT' && theirs.endsWith('message'),
  },
  {
    about:
      'With context takeover, a message behind one that is marked as compressed and has no payload at all',
    weDo: 'take that for an empty message, and deliver the other',
    theyDo: 'take that for an empty message, and the other for what goes on with its half block',
    right: 'both',
    section: 'RFC 7692 7.2.1, 7.2.3.6',
    why: 'an empty message has one byte of payload, so none is a mistake; nothing depends on how it is read',
    example: 'c100 c103 4a0400',
    agreement: TAKEOVER,
    // What comes next is whatever the half block makes of it.
    isIt: (_ours, _theirs, { frames }) =>
      frames.some(({ reserved, payload }) => reserved === 4 && payload.length === 0),
  },
  {
    about: 'With context takeover, a message behind one that ended with a final block',
    weDo: 'deliver it',
    theyDo: 'deliver an empty one in its place',
    right: 'Aperto',
    section: 'RFC 7692 7.2.3.4',
    why: 'a final block is allowed in each message',
    example: 'c1034a0404 c1034a0400',
    agreement: TAKEOVER,
    // Where that message is an empty one, what they have missed shows later.
    isIt: (ours, theirs, { takeover, wasEmpty }) =>
      takeover && ((theirs === 'empty message' && ours !== 'waits') || wasEmpty),
  },
  {
    about: 'A compressed message with more blocks behind a final one',
    weDo: 'inflate them all',
    theyDo: 'deliver what is before, and drop what is behind',
    right: 'Aperto',
    section: 'RFC 7692 7.2.3.4',
    why: 'an empty block follows a final one in the very example of the RFC, and nothing says that it must be empty',
    example: 'c106 4b0400 4a0400',
    agreement: NO_TAKEOVER,
    isIt: (ours, theirs, { frames, isBeginning }) =>
      theirs.endsWith('message') &&
      (isBeginning || refused.includes(ours)) &&
      frames.some(({ reserved }) => reserved === 4),
  },
];

function kindOf(event: StreamEvent | undefined): Kind {
  if (event === undefined) return 'waits';
  const { kind, content, name = content } = event;
  if (kind === 'failed') return name.startsWith('Z_') ? 'corrupt' : name;
  if (kind !== 'text' && kind !== 'binary') return 'control';
  return content === '' ? 'empty message' : 'message';
}

export interface Difference {
  readonly ours: Kind;
  readonly theirs: Kind;
  readonly wasEmpty: boolean;
  /** Whether what they have delivered is the beginning of what we have. */
  readonly isBeginning: boolean;
}

/** Where the two part ways first; undefined where they do not. */
export function firstDifference(
  ours: readonly StreamEvent[],
  theirs: readonly StreamEvent[],
): Difference | undefined {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const [our, their] = [ours[i], theirs[i]];
    if (our?.kind === their?.kind && our?.content === their?.content) continue;
    const wasEmpty = theirs.slice(0, i).some((event) => kindOf(event) === 'empty message');
    const isBeginning =
      our?.kind === their?.kind && our?.content.startsWith(their?.content ?? '') === true;
    return { ours: kindOf(our), theirs: kindOf(their), wasEmpty, isBeginning };
  }
  return undefined;
}

/** The disagreement that a difference is an example of; undefined where it is a new one. */
export function listed(
  { ours, theirs, wasEmpty, isBeginning }: Difference,
  stream: Uint8Array,
  agreement: DeflateAgreement | undefined,
): Disagreement | undefined {
  const { frames } = decodeFrames(stream);
  const seen = { frames, wasEmpty, isBeginning, takeover: agreement?.inflateTakeover === true };
  return disagreements.find(({ isIt }) => isIt(ours, theirs, seen));
}

/** What both are told. */
export const wsLimits: StreamLimits = { maxMessageBytes: 1_000, maxFragments: 6 };
