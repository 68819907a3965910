// One job of @ao/quantization, on the packages as users install them.
export async function job(packages) {
  return Object.keys(packages).length;
}
