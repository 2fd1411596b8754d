/** Whether to wait for what a handler returned: an arrow function may return anything. */
export function isPromise(returned: unknown): returned is Promise<unknown> {
  return typeof returned === 'object' && returned !== null && 'then' in returned;
}
