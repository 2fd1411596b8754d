/** Node's own `setImmediate`, also while a test has put a clock of its own in its place. */
export const nextTurn: typeof setImmediate = setImmediate;
