// What does a picture cost? classify() beside the two steps that were done before it, and how far the pixels are apart.
import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { load } from 'subten'
import { fromSources } from '../scripts/sources.mjs'
import { meanModel } from './mean-model.mjs'
import { interleave, millis, newHistogram, paired, quantiles, rounds } from './measure.mjs'
import { number, ratioLine } from './report.mjs'

/** The pictures of the tests: smooth, with some noise; the same every time. */
const { photo } = await fromSources('test/unit/image/pictures.ts')

const SIDE = 224
const MEAN = [0.485, 0.456, 0.406]
const STD = [0.229, 0.224, 0.225]
/** Pixels as bytes, as they are. */
const PLAIN = {
  channels: 3,
  layout: 'NHWC',
  channelOrder: 'RGB',
  scale: 1,
  mean: [0],
  std: [1],
  fit: 'cover',
  kernel: 'lanczos3',
  shrinkOnLoad: true,
  polarity: 'any',
  ground: 'auto',
  background: [0],
}
const COUNT = rounds(9)
const MS = millis(600)
const PICTURES = [
  { what: 'JPEG 153 × 136', width: 153, height: 136, format: 'jpeg', side: 96 },
  { what: 'JPEG 640 × 480', width: 640, height: 480, format: 'jpeg' },
  { what: 'JPEG 1920 × 1080', width: 1920, height: 1080, format: 'jpeg' },
  { what: 'WebP 640 × 480', width: 640, height: 480, format: 'webp' },
  { what: 'PNG 640 × 480', width: 640, height: 480, format: 'png' },
]

export default async function measure() {
  const models = {}
  for (const side of [SIDE, 96]) models[side] = await load(meanModel(side, { mean: MEAN, std: STD }))
  const waysOf = (side) => ({
    'decode, resize, normalise': (bytes) => decodeThenResize(bytes, side).then((pixels) => infer(models, side, pixels)),
    'one pipeline, normalise': (bytes) => onePipeline(bytes, side).then((pixels) => infer(models, side, pixels)),
    classify: (bytes) => models[side].classify(bytes),
  })
  const [before, pipeline, now] = Object.keys(waysOf(SIDE))
  const lines = []
  const rows = []
  const raw = {}
  for (const { what, width, height, format, side = SIDE } of PICTURES) {
    const picture = await photo(width, height)
    const bytes = await picture[format]({ quality: 85 }).toBuffer()
    const found = await interleave(waysOf(side), COUNT, (way) => timed(() => way(bytes)))
    const of = (figure) =>
      Object.fromEntries(Object.entries(found).map(([name, each]) => [name, each.map((run) => run[figure])]))
    const loops = of('loopUs')
    const cpu = of('cpuUs')
    const times = Object.entries(found).map(([name, each]) => [name, quantiles(each.map(({ histogram }) => histogram))])
    const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]
    const ratio = (of) => paired(of(before), of(now))
    lines.push(
      ratioLine({
        name: `${what}: CPU time of the event loop, two steps / classify`,
        ratio: ratio((name) => loops[name]),
        detail: `${number(middle(loops[before]))} and ${number(middle(loops[now]))} µs a picture`,
      }),
    )
    lines.push(
      ratioLine({
        name: `${what}: CPU time of all threads, one pipeline / classify`,
        ratio: paired(cpu[pipeline], cpu[now]),
        detail: `${number(middle(cpu[pipeline]))} and ${number(middle(cpu[now]))} µs a picture`,
      }),
    )
    const p50s = Object.fromEntries(times.map(([name, row]) => [name, row.p50s]))
    lines.push(ratioLine({ name: `${what}: p50 of two steps / of classify`, ratio: ratio((name) => p50s[name]) }))
    for (const [name, row] of times) {
      rows.push({ what: `${what}, ${name} (loop ${number(middle(loops[name]))} µs)`, ...row })
    }
    raw[what] = { loops, cpu, p50s, apart: await apart(bytes, side) }
    const { most, mean } = raw[what].apart
    lines.push(
      `${what}: pixels that differ from two steps by at most ${number(most)} of 255, ${number(mean)} on average`,
    )
  }
  Object.assign(raw, { loops: await loopsAlone(), many: await manyAtOnce(models[SIDE]) })
  const { byTable, byArithmetic } = raw.loops
  lines.push(
    `Writing 3 × ${SIDE} × ${SIDE} values: ${number(byTable)} µs by table and words, ${number(byArithmetic)} µs by arithmetic`,
    ...raw.many.map(({ concurrency, cache, rate }) => {
      const settings = `sharp.concurrency(${concurrency}), cache ${cache ? 'on' : 'off'}`
      return `16 callers, WebP 1920 × 1080, ${settings}: ${number(rate)} pictures a second`
    }),
  )
  for (const model of Object.values(models)) await model.close()
  const notes = [
    'One picture after another; a model that computes the mean of each channel stands behind each way. The CPU time of the event loop is that of its thread (schedstat), with what libvips does elsewhere left out.',
    'The pictures are noise of 32 × 32 pixels a grain, smoothed: fewer details than photos have, which compress better.',
  ]
  return { question: 'What does a picture cost?', lines, rows, notes, raw }
}

const opened = (bytes) =>
  sharp(bytes, { limitInputPixels: 16e6, failOn: 'error', sequentialRead: true, pages: 1 })
    .timeout({ seconds: 5 })
    .autoOrient()
    .toColourspace('srgb')
const pixelsOf = (pipeline) => pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })

/** All of the picture, then a second pipeline: what the server did before there was classify(). */
async function decodeThenResize(bytes, side) {
  const { data, info } = await pixelsOf(opened(bytes))
  const { width, height, channels } = info
  const pipeline = sharp(data, { raw: { width, height, channels } }).resize(side, side, { fit: 'cover' })
  return (await pixelsOf(pipeline)).data
}

async function onePipeline(bytes, side) {
  return (await pixelsOf(opened(bytes).resize(side, side, { fit: 'cover' }))).data
}

const infer = (models, side, pixels) => models[side].infer({ image: normalised(pixels) })

function normalised(pixels) {
  const area = pixels.length / 3
  const values = new Float32Array(3 * area)
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < area; i++) values[c * area + i] = (pixels[i * 3 + c] / 255 - MEAN[c]) / STD[c]
  }
  return values
}

/** One call after another for a while: the time of each, and what the event loop's thread computed for one. */
async function timed(call) {
  const histogram = newHistogram()
  const before = threadUs()
  const spent = process.cpuUsage()
  const end = performance.now() + MS
  let calls = 0
  for (let sent = performance.now(); sent < end; calls++) {
    await call()
    const now = performance.now()
    histogram.record(Math.max(1, Math.round((now - sent) * 1e6)))
    sent = now
  }
  const { user, system } = process.cpuUsage(spent)
  return { histogram, loopUs: (threadUs() - before) / calls, cpuUs: (user + system) / calls }
}

/** Of this process's first thread, which is the one that asks. */
function threadUs() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1000
}

/** How far the pixels of `classify` are from decoding and then resizing, in levels of 255. */
async function apart(bytes, side) {
  const { preparePicture } = await fromSources('src/image/prepare.ts')
  const spec = { ...PLAIN, height: side, width: side }
  const { input } = await preparePicture(bytes, spec, { name: 'image', datatype: 'UINT8', shape: [1, side, side, 3] })
  const one = new Uint8Array(3 * side * side)
  input.write(one)
  const two = await decodeThenResize(bytes, side)
  let [most, sum] = [0, 0]
  for (let i = 0; i < one.length; i++) {
    const difference = Math.abs(one[i] - two[i])
    most = Math.max(most, difference)
    sum += difference
  }
  return { most, mean: sum / one.length }
}

/** Writing the values alone, microseconds of CPU time. */
async function loopsAlone() {
  const { tableOf, writePixels } = await fromSources('src/image/write-pixels.ts')
  const spec = {
    channels: 3,
    height: SIDE,
    width: SIDE,
    layout: 'NCHW',
    channelOrder: 'RGB',
    scale: 1 / 255,
    mean: MEAN,
    std: STD,
  }
  const picture = { data: new Uint8Array(3 * SIDE * SIDE).map((_, i) => i * 7), width: SIDE, height: SIDE, channels: 3 }
  const table = tableOf(spec, 'FP32', 'image')
  const target = new Uint8Array(4 * picture.data.length)
  const place = { left: 0, top: 0, width: SIDE, height: SIDE }
  const alone = (call) => {
    for (let i = 0; i < 200; i++) call()
    const before = threadUs()
    for (let i = 0; i < 500; i++) call()
    return (threadUs() - before) / 500
  }
  return {
    byTable: alone(() => writePixels(picture, place, spec, table, 'FP32', target)),
    byArithmetic: alone(() => normalised(picture.data)),
  }
}

/** Pictures a second of many callers, under the settings of libvips that concern them. */
async function manyAtOnce(model) {
  const bytes = await (await photo(1920, 1080)).webp({ quality: 85 }).toBuffer()
  const kept = { concurrency: sharp.concurrency(), ...sharp.cache() }
  const settings = [1, 2].flatMap((concurrency) => [true, false].map((cache) => ({ concurrency, cache })))
  const contenders = Object.fromEntries(settings.map((each) => [JSON.stringify(each), each]))
  const found = await interleave(contenders, COUNT, async ({ concurrency, cache }) => {
    sharp.concurrency(concurrency)
    sharp.cache(cache)
    let done = 0
    const start = performance.now()
    const caller = async () => {
      while (performance.now() - start < MS) {
        await model.classify(bytes)
        done++
      }
    }
    await Promise.all(Array.from({ length: 16 }, caller))
    return (done / (performance.now() - start)) * 1000
  })
  sharp.concurrency(kept.concurrency)
  sharp.cache({ memory: kept.memory.max, files: kept.files.max, items: kept.items.max })
  return settings.map((each) => {
    const rates = found[JSON.stringify(each)].sort((a, b) => a - b)
    return { ...each, rate: rates[rates.length >> 1], rates }
  })
}
