#!/usr/bin/env node
import { processContext } from './context.js'
import { run } from './program.js'

// `subten … | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

process.exitCode = await run(process.argv.slice(2), processContext)
