// The last rank does something else than the others: every rank prints what it caught.
// Arguments: the compiled sources, "threads" or "mpi", for threads how many, what is odd.
const [dist, carrier, count, fault] = process.argv.slice(2);
const { crossEntropy, mpi, tensor, threads } = await import(`${dist}/index.js`);
const group = carrier === "mpi" ? await mpi({ timeoutSeconds: 30 }) : await threads(Number(count));
const { rank, size } = group;
const isOdd = rank === size - 1;

const numbers = [2, 0, -1, 0, 3, 1];
const logits = tensor((isOdd && fault === "dtype" ? Float32Array : Float64Array).from(numbers), [2, 3]);
const labels = tensor(Int32Array.of(0, isOdd && fault === "label" ? 3 : 1));
const objective = crossEntropy({ labelSmoothing: isOdd && fault === "contract" ? 0.1 : 0 });
try {
  await objective.valueAndGradients({ logits, labels }, { group });
  console.log(`rank ${rank} caught nothing`);
} catch (error) {
  console.log(`rank ${rank} caught ${error.code}: ${error.message}`);
}
await group.close();
