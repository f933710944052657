// Starts and closes a group, or prints why not. Arguments: the compiled sources, the options as JSON.
const [dist, options] = process.argv.slice(2);
const { mpi } = await import(`${dist}/group/mpi.js`);
try {
  const group = await mpi(JSON.parse(options));
  console.log(`rank ${group.rank} of ${group.size}`);
  await group.close();
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
