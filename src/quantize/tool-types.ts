/** What `tools/quantize.py` is asked for: one line of JSON on its standard input. */
export interface ToolRequest {
  /** ONNX file to quantise, and the file to write. */
  readonly model: string
  readonly output: string
  /** A folder of its own for what it needs on the way. */
  readonly work: string
  readonly precision: Precision
  readonly target: Target
  readonly method: Method
  /** Percent of a tensor's values that its range holds, for `method: 'percentile'`. */
  readonly percentile: number
  readonly perChannel: boolean
  /** Weights in seven bits. */
  readonly reduceRange: boolean
  /** Names of nodes, or globs. */
  readonly exclude: readonly string[]
  /** A .npy file for each input, rows first; null where there are no calibration data. */
  readonly rows: Readonly<Record<string, string>> | null
  readonly analysis: AnalysisLimits
}

export interface AnalysisLimits {
  /** Rows that models are compared on. */
  readonly rows: number
  /** Layers that are looked at one by one; 0: none. */
  readonly layers: number
  /** Most seconds for these. */
  readonly seconds: number
}

export const PRECISIONS = ['int8', 'int8-dynamic', 'fp16'] as const
export type Precision = (typeof PRECISIONS)[number]
export const TARGETS = ['cpu', 'tensorrt'] as const
export type Target = (typeof TARGETS)[number]
export const METHODS = ['minmax', 'entropy', 'percentile'] as const
export type Method = (typeof METHODS)[number]

/** What it writes, one line each. */
export type ToolEvent =
  | { readonly event: 'progress'; readonly phase: ToolPhase; readonly done: number; readonly total: number }
  | { readonly event: 'note'; readonly text: string }
  | { readonly event: 'result'; readonly result: ToolResult }
  | {
      readonly event: 'error'
      readonly code: string
      readonly message: string
      readonly remedy: string | null
      readonly details: Readonly<Record<string, unknown>>
      /** Python's own words, for --debug. */
      readonly trace: string
    }

export type ToolPhase = 'prepare' | 'calibrate' | 'layers' | 'sensitivity'

/** How far results are from those of the FP32 model. */
export interface OutputError {
  /** Signal by noise; null where there is no noise. */
  readonly sqnrDb: number | null
  readonly maxAbs: number
  /** Share of rows with the same largest score; absent where the first output has no scores. */
  readonly agreement?: number
  readonly rows?: number
}

/** One quantised layer. */
export interface LayerError {
  readonly name: string
  readonly op: string
  /** Of its output, with all the error that has gathered up to there. */
  readonly sqnrDb: number | null
  readonly maxAbs: number
  /** Noise by signal that this layer adds to what its inputs bring. */
  readonly addedNoise: number
  /** Of its weights. */
  readonly weightSqnrDb?: number | null
  /** The model's results when only this layer is quantised, and when all but this one are. */
  readonly alone?: OutputError
  readonly without?: OutputError
}

export interface ToolResult {
  readonly excluded: readonly string[]
  readonly quantised: readonly string[]
  /** Nodes that stay float, by operator. */
  readonly float: Readonly<Record<string, number>>
  readonly opset: { readonly before: number; readonly after: number }
  readonly versions: Readonly<Record<string, string>>
  readonly calibrationRows?: number
  /** Rows that calibration ran at a time. */
  readonly batch?: number
  /** Lowest and highest value of each tensor that was calibrated. */
  readonly ranges?: Readonly<Record<string, readonly [number, number]>>
  readonly layers?: readonly LayerError[]
  readonly outputs?: OutputError
  /** Layers to leave out, where that helps, and the results without them. */
  readonly suggested?: { readonly exclude: readonly string[]; readonly outputs?: OutputError } | null
  /** Of the model with all its tensors. */
  readonly sourceBytes: number
  readonly seconds: number
  readonly peakRssMiB: number
}
