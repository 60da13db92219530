// What the threads of terminations.mjs share: random numbers by seed, inputs of a model, and a loop that checks answers.

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Inputs of `rows` rows, every element `value`. */
function inputsOf(model, value, rows = 1) {
  const [{ name, shape }] = model.inputs
  const length = shape.slice(1).reduce((a, b) => a * b, 1)
  const data = new Float32Array(rows * length).fill(value)
  return { [name]: rows === 1 ? data : { data, shape: [rows, ...shape.slice(1)] } }
}

/**
 * Requests in a closed loop against `model` from `lanes` lanes, until `stop()`. Each answer is compared with one made
 * before the load began. Resolves to how many were submitted, ended, and wrong.
 */
async function closedLoop(model, lanes, stopped) {
  const counts = { submitted: 0, ended: 0, wrong: 0 }
  const [output] = model.outputs
  const values = Array.from({ length: lanes }, (_, lane) => (lane + 1) / 8)
  const answers = []
  for (const value of values) answers.push((await model.infer(inputsOf(model, value)))[output.name].data)
  const same = (data, right) => data.length === right.length && data.every((x, i) => Math.abs(x - right[i]) < 1e-4)
  await Promise.all(
    values.map(async (value, lane) => {
      while (!stopped()) {
        counts.submitted++
        const result = lane % 3 === 2 ? await throughSlot(model, value) : await model.infer(inputsOf(model, value))
        counts.ended++
        if (!same(result[output.name].data, answers[lane])) counts.wrong++
        result.release?.()
        await new Promise(setImmediate)
      }
    }),
  )
  return counts
}

async function throughSlot(model, value) {
  const slot = await model.claim()
  Object.values(slot.inputs)[0].data.fill(value)
  return { ...(await slot.submit()), release: () => slot.release() }
}

module.exports = { random, inputsOf, closedLoop }
