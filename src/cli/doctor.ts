export async function runDoctor(_sources: object, _io: object): Promise<number> {
  return 1;
}
