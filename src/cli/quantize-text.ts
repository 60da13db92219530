import type { Estimate } from '../profile/report-types.js'
import type { Comparison, Speed } from '../quantize/compare.js'
import type { Quantized } from '../quantize/quantize.js'
import type { LayerError } from '../quantize/tool-types.js'
import { table } from './report.js'

/** Layers in the table: the worst ones, the rest is in quantization.json. */
const SHOWN_LAYERS = 12

/**
 * What `subten quantize` prints: what was made, what it costs and gains, which layers hurt.
 *
 * @param within top-1 points that may be lost before the text warns
 */
export function quantizedText(made: Quantized, within: number): string {
  const parts = [headline(made), figures(made).join('\n'), layers(made), verdicts(made, within).join('\n')]
  return parts.filter((part) => part !== '').join('\n\n')
}

const WORDS = { int8: 'static INT8', 'int8-dynamic': 'dynamic INT8', fp16: 'FP16' } as const

function headline(made: Quantized): string {
  const { precision, target, tool } = made
  const scales = made.perChannel ? 'per channel' : 'per tensor'
  const range = made.reduceRange ? ', weights in 7 bits' : ''
  const how =
    precision === 'int8'
      ? `, for ${target === 'tensorrt' ? 'TensorRT (S8 activations, zero points 0)' : 'CPUs (U8 activations)'}, ` +
        `weights ${scales}${range}, ranges by ${made.method}${made.percentile ? ` ${made.percentile}` : ''}`
      : ''
  const left = Object.entries(tool.float).map(([op, count]) => `${count} ${op}`)
  const lines = [
    `${made.name}: ${made.from} in ${WORDS[precision]}${how}`,
    `  ${made.path}`,
    `  ${tool.quantised.length} nodes ${precision === 'fp16' ? 'converted' : 'quantised'}` +
      `${left.length > 0 ? `; float stay ${left.slice(0, 6).join(', ')}${left.length > 6 ? ', …' : ''}` : ''}`,
  ]
  if (made.calibration) lines.push(`  ${made.calibration.rows} rows of ${made.calibration.path}`)
  return lines.join('\n')
}

function figures({ bytes, onCalibration, onData, speed, tool }: Quantized): string[] {
  const lines = [
    `size      ${kilobytes(bytes.before)} -> ${kilobytes(bytes.after)} (${ratio(bytes.before, bytes.after)})`,
  ]
  if (speed) {
    const { ratio: times } = speed
    lines.push(
      `one row   ${micros(speed.beforeUs)} -> ${micros(speed.afterUs)}: ${times.value.toFixed(2)} times as fast ` +
        `(${times.low.toFixed(2)} to ${times.high.toFixed(2)}), interleaved`,
    )
  }
  if (tool.outputs) {
    const { sqnrDb, maxAbs } = tool.outputs
    const signal = sqnrDb === null ? 'no noise' : `signal ${sqnrDb.toFixed(1)} dB above noise`
    lines.push(`outputs   ${signal}, largest difference ${maxAbs.toPrecision(3)}`)
  }
  if (onCalibration?.agreement) lines.push(`same top  ${agreement(onCalibration)} of the calibration rows`)
  if (onData?.agreement) lines.push(`          ${agreement(onData)} of ${onData.path}`)
  if (onData?.top1) {
    const { before, after, difference } = onData.top1
    lines.push(
      `top-1     ${percentOf(before)} -> ${percentOf(after)} on ${onData.rows} rows: ` +
        `${signed(difference.value)} points (${signed(difference.low)} to ${signed(difference.high)}, same rows)`,
    )
  }
  return lines
}

function agreement({ agreement, rows }: Comparison): string {
  return `${percentOf(agreement as Estimate)} of ${rows}`
}

function layers({ tool }: Quantized): string {
  if (!tool.layers || tool.layers.length === 0) return ''
  const worst = [...tool.layers].sort((a, b) => b.addedNoise - a.addedNoise).slice(0, SHOWN_LAYERS)
  const scored = worst.some(({ alone }) => alone?.agreement !== undefined)
  const head = ['layer', '', 'SQNR dB', 'added', 'max error', 'weights dB', 'alone dB', 'without dB']
  const rows = worst.map((layer) => [
    layer.name,
    layer.op,
    decibels(layer.sqnrDb),
    percentText(layer.addedNoise),
    layer.maxAbs.toPrecision(3),
    decibels(layer.weightSqnrDb),
    decibels(layer.alone?.sqnrDb),
    decibels(layer.without?.sqnrDb),
    ...(scored ? [sameTop(layer)] : []),
  ])
  const title = `Layers that add most noise, ${worst.length} of ${tool.layers.length}`
  const legend = [
    "SQNR: a layer's output against FP32, with what came before; added: noise by signal that it adds itself;",
    'alone, without: the results when only this layer, or all but it, is INT8. All layers are in quantization.json.',
  ]
  return [title, table(scored ? [...head, 'same top without'] : head, rows), ...legend].join('\n')
}

function sameTop({ without }: LayerError): string {
  return without?.agreement === undefined ? '' : `${(100 * without.agreement).toFixed(1)} %`
}

/** Fewer calibration rows than these miss too much of what there is. */
const FEW_ROWS = 64

/** What one is to know before one uses it. */
function verdicts(made: Quantized, within: number): string[] {
  const lines: string[] = []
  const { speed, onData, tool, precision, target } = made
  if (precision === 'fp16') {
    lines.push("ONNX Runtime's CPU kernels gain nothing by FP16: it is for GPUs, and for half the size.")
  }
  if (target === 'tensorrt') {
    lines.push(
      'It was timed by ONNX Runtime on this CPU, which it is not made for; how fast TensorRT runs it was not measured.',
    )
  }
  const rows = made.calibration?.rows ?? FEW_ROWS
  if (precision === 'int8' && rows < FEW_ROWS) {
    lines.push(
      `Only ${rows} row${rows === 1 ? '' : 's'} calibrated: what service sees and they do not is cut off. Give some hundred.`,
    )
  }
  const word = precision === 'fp16' ? 'FP16' : 'INT8'
  if (speed) lines.push(...speedVerdict(speed, word, target === 'tensorrt'))
  if (onData?.top1) {
    const { difference } = onData.top1
    const lost = -100 * difference.value
    if (lost > within) {
      const better = precision === 'int8' && !(made.perChannel && made.method === 'percentile')
      lines.push(
        `${word} LOSES ${lost.toFixed(2)} points of top-1, more than the ${within} that may be lost.` +
          `${better ? ' Scales per channel and --method percentile mostly lose least.' : ''}`,
      )
    } else if (-100 * difference.low > within) {
      lines.push(
        `${word} may lose up to ${(-100 * difference.low).toFixed(2)} points: more rows would tell whether it keeps to ${within}.`,
      )
    }
  }
  if (tool.suggested) {
    const { exclude, outputs } = tool.suggested
    const then =
      outputs?.agreement === undefined ? '' : `: ${(100 * outputs.agreement).toFixed(1)} % would have the same top`
    lines.push(`Try --exclude ${exclude.map((name) => `'${name}'`).join(' ')}${then}.`)
  }
  return lines
}

function speedVerdict({ ratio }: Speed, word: string, quiet: boolean): string[] {
  if (quiet) return []
  if (ratio.high < 1) return [`${word} is SLOWER than FP32 on this machine, one row at a time.`]
  if (ratio.low <= 1) return [`${word} is not measurably faster than FP32 on this machine, one row at a time.`]
  return []
}

const decibels = (value: number | null | undefined): string =>
  value === undefined ? '' : value === null ? 'exact' : value.toFixed(1)
const percentText = (share: number): string =>
  share === 0 ? '0' : `${share >= 1 ? Math.round(100 * share) : (100 * share).toPrecision(2)} %`
const percentOf = ({ value, low, high }: Estimate): string =>
  `${(100 * value).toFixed(2)} % (${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)})`
const signed = (share: number): string => `${share < 0 ? '' : '+'}${(100 * share).toFixed(2)}`
const kilobytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`
const micros = (us: number): string => (us < 1000 ? `${us.toFixed(1)} µs` : `${(us / 1000).toFixed(2)} ms`)
const ratio = (before: number, after: number): string =>
  after > before ? `${(after / before).toFixed(2)} times as large` : `${(before / after).toFixed(2)} times smaller`
