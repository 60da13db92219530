/** What one request may cost the server. Sizes in bytes, times in milliseconds. */
export interface ServerLimits {
  /** Body of an inference request. */
  readonly bodyBytes: number
  /** Body of an image request. */
  readonly imageBytes: number
  /** Width × height of an image. */
  readonly imagePixels: number
  readonly headerBytes: number
  /** Nesting of a JSON body. */
  readonly jsonDepth: number
  /** Inputs (or requested outputs) of one request. */
  readonly tensors: number
  /** Until the whole request must have arrived. */
  readonly requestTimeoutMs: number
  /** How long `stop()` waits for requests in flight. */
  readonly stopTimeoutMs: number
}

export const DEFAULT_LIMITS: ServerLimits = {
  bodyBytes: 64 * 1024 * 1024,
  imageBytes: 10 * 1024 * 1024,
  imagePixels: 16_000_000,
  headerBytes: 16 * 1024,
  jsonDepth: 40,
  tensors: 256,
  requestTimeoutMs: 30_000,
  stopTimeoutMs: 10_000,
}
