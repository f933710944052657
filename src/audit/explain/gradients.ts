import type { Tensor } from "../../tensor/index.js";

/** The gradients of one part, by field, seen as one long vector. */
export class Gradients {
  private readonly fields: Readonly<Record<string, Tensor>>;

  constructor(fields: Readonly<Record<string, Tensor>>) {
    this.fields = fields;
  }

  /** The gradients by field, for whoever reads them unit by unit. */
  get byField(): Readonly<Record<string, Tensor>> {
    return this.fields;
  }

  get isEmpty(): boolean {
    return Object.keys(this.fields).length === 0;
  }

  get isFinite(): boolean {
    return Object.values(this.fields).every(({ data }) => {
      for (let i = 0; i < data.length; i++) if (!Number.isFinite(Number(data[i]))) return false;
      return true;
    });
  }

  /** Σ x y over the fields both have. */
  dot(other: Gradients): number {
    let sum = 0;
    for (const [name, { data }] of Object.entries(this.fields)) {
      const there = other.fields[name]?.data;
      if (!there || there.length !== data.length) continue;
      for (let i = 0; i < data.length; i++) sum += (data[i] as number) * (there[i] as number);
    }
    return sum;
  }

  /** The same vector restricted to the fields another has: what was not recorded cannot be compared. */
  like(other: Gradients): Gradients {
    const names = Object.keys(other.fields).filter((name) => this.fields[name]);
    return new Gradients(Object.fromEntries(names.map((name) => [name, this.fields[name]!])));
  }

  /** ‖reported − computed‖ / ‖reported‖ over all parts, or over `least` where that is more. */
  static distance(reported: readonly Gradients[], computed: readonly Gradients[], least: number): number {
    let gap = 0;
    let length = 0;
    for (const [i, mine] of reported.entries()) {
      for (const [name, { data }] of Object.entries(mine.fields)) {
        const there = computed[i]!.fields[name]?.data;
        if (!there) continue;
        for (let k = 0; k < data.length; k++) {
          const [a, b] = [data[k] as number, there[k] as number];
          if (a !== b) gap += (a - b) * (a - b);
          length += a * a;
        }
      }
    }
    if (gap === 0) return 0;
    return Math.sqrt(gap) / Math.max(Math.sqrt(length), least, Number.MIN_VALUE);
  }
}
