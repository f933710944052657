/** A sum whose rounding errors are carried along (Neumaier 1974): ten thousand terms cost it no digit. */
export class CompensatedSum {
  private sum = 0;
  private lost = 0;

  clear(): void {
    this.sum = 0;
    this.lost = 0;
  }

  add(term: number): void {
    const next = this.sum + term;
    this.lost += Math.abs(this.sum) >= Math.abs(term) ? this.sum - next + term : term - next + this.sum;
    this.sum = next;
  }

  get value(): number {
    return this.sum + this.lost;
  }
}
