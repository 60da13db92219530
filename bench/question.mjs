// The process of one question: imports its file, measures, sends the result to bench/run.mjs.
const { default: measure } = await import(`./${process.argv[2]}.mjs`)
const result = await measure()
if (process.send) await new Promise((resolve) => process.send(result, resolve))
else console.log(JSON.stringify(result, null, 1))
process.disconnect?.()
