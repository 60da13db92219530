// What scripts/check-model.mjs runs over native/test/model: configurations small enough to be searched completely.

/** `check`: 'safety' (assertions, invalid end states) or a formula of the model, over weakly fair executions. */
export const properties = [
  { model: 'request_word', check: 'safety', defines: ['ROUNDS=2', 'ROUNDS_OF_SECOND=0'] },
  { model: 'request_word', check: 'safety', defines: ['ROUNDS=1', 'ROUNDS_OF_SECOND=1'] },
  { model: 'request_word', check: 'slots_return', defines: ['ROUNDS=2', 'ROUNDS_OF_SECOND=0'] },
  { model: 'slot_pool', check: 'safety', defines: ['STEPS=5'] },
  { model: 'inbox', check: 'safety' },
  { model: 'inbox', check: 'all_taken' },
  { model: 'instances', check: 'all_end', defines: ['PORTS=2', 'INSTANCES=1'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'EACH=2'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'EACH=2', 'LONG=1'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'ABORTS=1', 'LEAVES=1'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'INSTANCES=1', 'TICKS=1', 'ABORTS=1', 'LEAVES=1'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'EACH=2', 'CAPACITY=2'] },
  { model: 'instances', check: 'all_end', defines: ['PORTS=1', 'TICKS=1'] },
  { model: 'pump', check: 'safety' },
  { model: 'pump', check: 'all_run' },
  { model: 'pump', check: 'all_run', defines: ['INSTANCES=2'] },
  { model: 'pump', check: 'all_run', defines: ['CAPACITY=2'] },
  { model: 'completion', check: 'safety' },
  { model: 'completion', check: 'drained' },
  { model: 'credits', check: 'safety' },
  { model: 'credits', check: 'safety', defines: ['PARTS=2'] },
  { model: 'credits', check: 'let_go' },
  { model: 'credits', check: 'let_go', defines: ['PARTS=2', 'SENDS=3', 'ABORTS=0'] },
  { model: 'credits', check: 'all_back', defines: ['ABORTS=0'] },
]

/** Larger configurations of the same, for `--full`: minutes each. */
export const full = [
  { model: 'request_word', check: 'slots_return', defines: ['ROUNDS=1', 'ROUNDS_OF_SECOND=1'] },
  { model: 'request_word', check: 'safety' },
  { model: 'instances', check: 'safety', defines: ['PORTS=2'] },
]

const assertion = 'assertion violated'
const cycle = 'acceptance cycle'

/** One bug at a time is put into a model, and must be found: `finds` says as what. */
export const bugs = [
  {
    model: 'request_word',
    bug: 'BUG_WORD_ANY_GENERATION',
    check: 'safety',
    finds: assertion,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  {
    model: 'request_word',
    bug: 'BUG_WORD_END_STORES',
    check: 'safety',
    finds: assertion,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  {
    model: 'request_word',
    bug: 'BUG_WORD_CANCEL_RETURNS',
    check: 'safety',
    finds: assertion,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  {
    model: 'request_word',
    bug: 'BUG_WORD_FINISHED_FIRST',
    check: 'safety',
    finds: assertion,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  {
    model: 'request_word',
    bug: 'BUG_WORD_CLOSE_OWNER_FIRST',
    check: 'safety',
    finds: assertion,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  {
    model: 'request_word',
    bug: 'BUG_WORD_CLOSING_FIRST',
    check: 'slots_return',
    finds: cycle,
    defines: ['ROUNDS_OF_SECOND=0'],
  },
  { model: 'slot_pool', bug: 'BUG_POOL_NO_TAG', check: 'safety', finds: assertion, defines: ['STEPS=5'] },
  { model: 'inbox', bug: 'BUG_INBOX_PUSH_STORES', check: 'safety', finds: assertion },
  { model: 'inbox', bug: 'BUG_INBOX_TAKE_STORES', check: 'all_taken', finds: cycle },
  { model: 'inbox', bug: 'BUG_TOKEN_TRY_LOCK_STORES', check: 'safety', finds: assertion },
  { model: 'inbox', bug: 'BUG_TOKEN_KEPT', check: 'all_taken', finds: cycle },
  {
    model: 'instances',
    bug: 'BUG_TOKEN_LOOKS_BEFORE_UNLOCK',
    check: 'all_end',
    finds: cycle,
    defines: ['PORTS=1', 'EACH=2', 'LONG=1'],
  },
  {
    model: 'instances',
    bug: 'BUG_TOKEN_NO_LOOK',
    check: 'all_end',
    finds: cycle,
    defines: ['PORTS=1', 'EACH=2', 'LONG=1'],
  },
  {
    model: 'instances',
    bug: 'BUG_TOKEN_NO_HAND_OVER',
    check: 'all_end',
    finds: cycle,
    defines: ['PORTS=1', 'INSTANCES=1', 'TICKS=1'],
  },
  { model: 'instances', bug: 'BUG_PARKING_LOOKS_FIRST', check: 'all_end', finds: cycle, defines: ['PORTS=1'] },
  { model: 'instances', bug: 'BUG_PARKING_RELAXED_PUSH', check: 'all_end', finds: cycle, defines: ['PORTS=1'] },
  { model: 'instances', bug: 'BUG_PARKING_RESETS_LATE', check: 'all_end', finds: cycle, defines: ['PORTS=1'] },
  { model: 'instances', bug: 'BUG_PARKING_NO_FUTEX_WAKE', check: 'all_end', finds: cycle, defines: ['PORTS=1'] },
  { model: 'instances', bug: 'BUG_PARKING_NO_WAKE_ALL', check: 'all_end', finds: cycle, defines: ['PORTS=1'] },
  { model: 'pump', bug: 'BUG_PUMP_NO_LOOK', check: 'all_run', finds: cycle },
  { model: 'pump', bug: 'BUG_PUMP_NO_TICK', check: 'all_run', finds: cycle, defines: ['PORTS=1', 'CAPACITY=2'] },
  { model: 'completion', bug: 'BUG_RING_LOOKS_BEFORE_ARM', check: 'drained', finds: cycle, defines: ['CLOSES=0'] },
  { model: 'completion', bug: 'BUG_RING_RELAXED_PUSH', check: 'drained', finds: cycle, defines: ['CLOSES=0'] },
  { model: 'completion', bug: 'BUG_POLL_ENDS_UNARMED', check: 'drained', finds: cycle, defines: ['CLOSES=0'] },
  { model: 'completion', bug: 'BUG_GATE_LOOKS_FIRST', check: 'safety', finds: assertion },
  { model: 'completion', bug: 'BUG_GATE_DOES_NOT_WAIT', check: 'safety', finds: assertion },
  { model: 'credits', bug: 'BUG_CREDITS_CLAIM_STORES', check: 'safety', finds: assertion },
  { model: 'credits', bug: 'BUG_CREDITS_READS_WORD_LAST', check: 'let_go', finds: cycle, defines: ['ABORTS=0'] },
  { model: 'credits', bug: 'BUG_CREDITS_WORD_FIRST', check: 'let_go', finds: cycle, defines: ['ABORTS=0'] },
  { model: 'credits', bug: 'BUG_CREDITS_LOST', check: 'let_go', finds: cycle, defines: ['ABORTS=0'] },
  { model: 'credits', bug: 'BUG_CREDITS_NO_TIMER', check: 'let_go', finds: cycle },
  { model: 'credits', bug: 'BUG_CREDITS_CLOSE_UNSEEN', check: 'let_go', finds: cycle },
]
