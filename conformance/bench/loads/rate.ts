/** Requests that were answered one after the other on each connection; latencies in µs. */
export interface Rate {
  readonly perSecond: number;
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
}
