/**
 * First fit over bins of one capacity: a thing goes into the first bin with room for it.
 *
 * A tree holds the largest room under each node, so a placement costs log(bins) and not a look at every bin.
 */
export class FirstFit {
  /** Room by node: the root at 1, children of n at 2n and 2n + 1, bins as leaves. */
  private readonly rooms: Int32Array;
  private readonly leaves: number;

  constructor(bins: number, capacity: number) {
    let leaves = 1;
    while (leaves < bins) leaves *= 2;
    this.leaves = leaves;
    this.rooms = new Int32Array(2 * leaves).fill(capacity);
  }

  /** The first bin with room for `size`, which it then takes; the caller sees to it that there is one. */
  place(size: number): number {
    const { rooms, leaves } = this;
    let node = 1;
    while (node < leaves) node = rooms[2 * node]! >= size ? 2 * node : 2 * node + 1;
    const bin = node - leaves;
    rooms[node]! -= size;
    for (node >>= 1; node > 0; node >>= 1) rooms[node] = Math.max(rooms[2 * node]!, rooms[2 * node + 1]!);
    return bin;
  }
}
