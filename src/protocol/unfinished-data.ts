/** What unfinished messages hold, of all connections that share it: each may hold little, and many hold much. */
export class UnfinishedData {
  bytes = 0;

  /** Takes so many bytes into account; false, and nothing taken, where there would be more than `most`. */
  take(bytes: number, most: number): boolean {
    if (this.bytes + bytes > most) return false;
    this.bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.bytes -= bytes;
  }
}
