/** Every way to bring a blob in, and to take it out. */
import { NoAnswer, NobodyThere, pathOf } from "./client.ts";
import { blobAppears, type Hand, keep, nextSeed, take } from "./hand.ts";
import { Refused, type Upload } from "./history.ts";
import { type Blob, contentOf, makeBlob } from "./random.ts";

const uploadsOf = (repository: string): string => `/v2/${repository}/blobs/uploads/`;
const join = (path: string, query: string): string => path + (path.includes("?") ? "&" : "?") + query;

export function newBlob(hand: Hand): Blob {
  const { random } = hand;
  const kind = random.next();
  // The largest in chunks that the server's buffers of 1 MiB do not hold whole.
  const largest = kind < 0.6 ? 4096 : kind < 0.96 ? 65_536 : hand.largestBytes;
  return makeBlob(nextSeed(hand), random.between(64, largest), random.chance(0.1) ? "sha512" : "sha256");
}

/** `POST ?digest=` with everything. */
export async function pushWhole(hand: Hand): Promise<void> {
  const blob = newBlob(hand);
  await hand.history.attempt("blob.whole", [blobAppears(hand, hand.repository, blob)], () =>
    postWhole(hand, hand.repository, blob),
  );
  keep(hand.loose, blob);
}

async function postWhole({ client }: Hand, repository: string, blob: Blob): Promise<void> {
  await client.expect([201], "POST", `${uploadsOf(repository)}?digest=${blob.digest}`, { body: contentOf(blob) });
}

/** POST, one PATCH, PUT without a body. */
export async function pushLikeDocker(hand: Hand): Promise<void> {
  await pushInChunks(hand, "blob.docker", 1, false);
}

/** POST, PATCHes with Content-Range, PUT with the last chunk or with nothing. */
export async function pushChunked(hand: Hand): Promise<void> {
  await pushInChunks(hand, "blob.chunked", hand.random.between(2, 4), hand.random.chance(0.5));
}

/** POST, PUT with everything. */
export async function pushInPut(hand: Hand): Promise<void> {
  await pushInChunks(hand, "blob.put", 0, true);
}

async function pushInChunks(hand: Hand, op: string, chunks: number, lastInPut: boolean): Promise<void> {
  const blob = newBlob(hand);
  const upload = await begin(hand, hand.repository, blob);
  const bytes = Math.floor(blob.size / (chunks + (lastInPut ? 1 : 0)));
  for (let index = 0; index < chunks; index++) {
    const isLast = index === chunks - 1 && !lastInPut;
    await append(hand, upload, isLast ? blob.size : bytes * (index + 1), chunks > 1);
  }
  await finish(hand, upload, op);
  keep(hand.loose, blob);
}

export async function begin(hand: Hand, repository: string, blob: Blob): Promise<Upload> {
  let upload: Upload | undefined;
  await hand.history.attempt("upload.begin", [], async () => {
    const path = pathOf(await hand.client.expect([202], "POST", uploadsOf(repository)));
    upload = { path, repository, blob, sizes: [0] };
    hand.history.uploads.set(path, upload);
  });
  if (upload === undefined) throw new Error("unreachable: the attempt succeeded");
  return upload;
}

/** Brings the upload from where it is to `size` bytes, which must be more. */
async function append(hand: Hand, upload: Upload, size: number, withRange: boolean): Promise<void> {
  const first = upload.sizes[0] ?? 0;
  if (size <= first) return;
  const body = contentOf(upload.blob).subarray(first, size);
  upload.sizes = [first, size];
  await hand.history.attempt("upload.append", [], async () => {
    const headers = { ...(withRange && { "content-range": `${first}-${size - 1}` }) };
    const answer = await hand.client.expect([202], "PATCH", upload.path, { headers, body });
    if (answer.headers.range !== `0-${size - 1}`) {
      throw new Error(`PATCH ${upload.path} to ${size} bytes answers Range: ${answer.headers.range}`);
    }
    upload.sizes = [size];
  });
}

/** PUT with whatever is missing still. */
async function finish(hand: Hand, upload: Upload, op: string): Promise<void> {
  const { blob, repository } = upload;
  const first = upload.sizes[0] ?? 0;
  const body = contentOf(blob).subarray(first);
  upload.ending = "finish";
  await hand.history.attempt(op, [blobAppears(hand, repository, blob)], async () => {
    await hand.client.expect([201], "PUT", join(upload.path, `digest=${blob.digest}`), { body });
    hand.history.uploads.delete(upload.path);
  });
}

/** An upload left half done: it must be there, and go on exactly where it was, after any number of crashes. */
export async function leaveUpload(hand: Hand): Promise<void> {
  const blob = newBlob(hand);
  const upload = await begin(hand, hand.repository, blob);
  const chunks = hand.random.between(1, 3);
  for (let index = 1; index <= chunks; index++) {
    await append(hand, upload, Math.floor((blob.size * index) / (chunks + 1)), hand.random.chance(0.5));
  }
}

/** Finishes one upload of an earlier cycle, perhaps with one more chunk. */
export async function resumeUpload(hand: Hand, upload: Upload): Promise<void> {
  const [size = 0] = upload.sizes;
  if (hand.random.chance(0.5) && size + 3 < upload.blob.size) {
    await append(hand, upload, hand.random.between(size + 2, upload.blob.size - 1), hand.random.chance(0.5));
  }
  await finish(hand, upload, "upload.resume");
}

/** One that this writer left, where nobody else is told to. */
export async function resumeOwn(hand: Hand): Promise<void> {
  const left = [...hand.history.uploads.values()].filter(({ repository, sizes, ending }) => {
    return repository === hand.repository && sizes.length === 1 && ending === undefined;
  });
  const upload = hand.random.pick(left);
  if (upload !== undefined) await resumeUpload(hand, upload);
}

export async function cancelUpload(hand: Hand): Promise<void> {
  const blob = newBlob(hand);
  const upload = await begin(hand, hand.repository, blob);
  await append(hand, upload, Math.ceil(blob.size / 2), false);
  await cancel(hand, upload);
}

/** The client goes away in the middle of a chunk: the upload stays as it was. */
export async function breakOffUpload(hand: Hand): Promise<void> {
  const blob = makeBlob(nextSeed(hand), hand.largestBytes);
  const upload = await begin(hand, hand.repository, blob);
  const ask = { body: contentOf(blob), breakOffAt: Math.floor(blob.size * 0.9) };
  await hand.history.attempt("upload.break-off", [], async () => {
    await hand.client.ask("PATCH", upload.path, ask).catch((error: unknown) => {
      if (!(error instanceof NoAnswer) || error instanceof NobodyThere) throw error;
    });
  });
  await cancel(hand, upload);
}

export async function cancel(hand: Hand, upload: Upload): Promise<void> {
  upload.ending = "cancel";
  await hand.history.attempt("upload.cancel", [], async () => {
    await hand.client.expect([204], "DELETE", upload.path);
    hand.history.uploads.delete(upload.path);
  });
}

/** The same bytes from several writers at the same time. */
export async function pushShared(hand: Hand): Promise<void> {
  const blob = hand.random.pick(hand.commons.fresh);
  if (blob === undefined) return;
  const { repository, blobs } = hand.commons;
  if (hand.random.chance(0.5)) {
    await hand.history.attempt("blob.shared", [blobAppears(hand, repository, blob)], () =>
      postWhole(hand, repository, blob),
    );
  } else {
    const upload = await begin(hand, repository, blob);
    await append(hand, upload, blob.size, false);
    await finish(hand, upload, "blob.shared");
  }
  if (!blobs.includes(blob)) blobs.push(blob);
}

/** Of a blob that may be there still, or not. */
export async function pushAgain(hand: Hand, repository: string, blob: Blob): Promise<void> {
  await hand.history.attempt("blob.again", [blobAppears(hand, repository, blob)], () =>
    postWhole(hand, repository, blob),
  );
}

/** @throws Refused when the collector took it first; the upload that is then begun instead is given up */
export async function mount(hand: Hand, blob: Blob, query: string): Promise<void> {
  const { client, history, second } = hand;
  await history.attempt("blob.mount", [blobAppears(hand, second, blob)], async () => {
    const path = `${uploadsOf(second)}?mount=${blob.digest}${query}`;
    const answer = await client.expect(history.isCollected ? [201, 202] : [201], "POST", path);
    if (answer.status === 201) return;
    await client.expect([204], "DELETE", pathOf(answer));
    throw new Refused();
  });
}

export async function mountBlob(hand: Hand): Promise<void> {
  const isOwn = hand.random.chance(0.7) || hand.commons.blobs.length === 0;
  const blob = hand.random.pick(isOwn ? hand.loose : hand.commons.blobs);
  if (blob === undefined) return;
  const from = isOwn ? hand.repository : hand.commons.repository;
  await mount(hand, blob, hand.random.chance(0.7) ? `&from=${encodeURIComponent(from)}` : "");
  if (!hand.mounted.includes(blob) && !hand.pinned.has(blob.digest)) keep(hand.mounted, blob);
}

export async function deleteBlob(hand: Hand): Promise<void> {
  const isOwn = hand.random.chance(0.6);
  const [list, repository] = isOwn ? [hand.loose, hand.repository] : [hand.mounted, hand.second];
  const blob = take(list, hand.random);
  if (blob === undefined) return;
  const register = hand.history.register("blob", repository, blob.digest);
  // The collector may have taken it first.
  const statuses = hand.history.isCollected && register.isLoose ? [202, 404] : [202];
  await hand.history.attempt("blob.delete", [{ register, value: undefined }], () =>
    hand.client.expect(statuses, "DELETE", `/v2/${repository}/blobs/${blob.digest}`),
  );
}
