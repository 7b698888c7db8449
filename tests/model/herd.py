"""The mutants, by who catches them: the simulator, or the model of the ledger."""

from service.lifecycle import dispatch, finish, rebuild, submit
from tests.model.mutants import Mutant, in_function, in_script
from workers import shard, stored, sweep

#: What ends up wrong, lost or stuck: seen from outside, after some seeds.
SIMULATED: tuple[Mutant, ...] = (
    in_script("commit keeps the lease", "commit", "redis.call('ZREM', LEASES, shard)"),
    in_script(
        "commit counts what it does not store", "commit", "redis.call('SETBIT', DONE, shard, 1)"
    ),
    in_script("commit finishes one early", "commit", "'shards')) then", "'shards')) - 1 then"),
    in_script("claim ignores the window", "claim", "while live < window and", "while"),
    in_script(
        "claim sends nothing again",
        "claim",
        "elseif live < window and sent < room then",
        "elseif false then",
    ),
    in_script(
        "claim takes the job off the outbox",
        "claim",
        "due_at(math.min(again",
        "never_due(); local _ = (math.min(again",
    ),
    in_script(
        "begin does not count attempts",
        "begin",
        "'HINCRBY', ATTEMPTS, shard, 1)",
        "'HINCRBY', ATTEMPTS, shard, 0)",
    ),
    in_script(
        "a shard that stands back is not looked at", "choose", "due_at(now, 'LT')", "never_due()"
    ),
    in_script("create starts over", "create", "if status then return 'EXISTS' end"),
    in_script("reopen forgets a hole", "reopen", "for i = 3, #ARGV", "for i = 4, #ARGV"),
    in_script("resolve leaves the job due", "resolve", "never_due()"),
    in_script(
        "an owner is not looked at later",
        "prelude",
        "redis.call('ZADD', 'lm:later', first[2], name)",
    ),
    in_function(
        "no manifest",
        *(finish.finish, "intended == Status.COMPLETED and not", "False and not"),
    ),
    in_function(
        "the outcome before the manifest",
        *(finish.finish, "intended == Status.COMPLETED and not"),
        "intended == Status.COMPLETED and not settle("
        "parts, _decided(parts, job_id, entry, intended)) and not",
    ),
    in_function(
        "the outcome is written over",
        *(
            finish._decided,
            "create_or_keep(parts.storage, layout.job_outcome(job_id), offer.to_json())",
        ),
        "(parts.storage.put(layout.job_outcome(job_id), offer.to_json()), offer.to_json())[1]",
    ),
    in_function(
        "the finisher believes the bitmap",
        *(finish._write_manifest, "_kept_shards(parts, job_id, request)"),
        "set(range(request.shards))",
    ),
    in_function("nothing is rebuilt", sweep.Sweep.turn, "rebuild(self._parts)", "0"),
    in_function(
        "ended jobs are rebuilt",
        *(rebuild._recreate, "if outcome is not None:", "if False:"),
    ),
    in_function("intents are nobody's", dispatch._send_claimed, "finish(parts, job_id)", "pass"),
    in_function(
        "no marker", submit._enter, 'parts.storage.put(layout.active(job.id), b"")', "pass"
    ),
    in_function(
        "the shard is not stored", shard._write, "storage.create(key", "(lambda *_, **__: None)(key"
    ),
    in_function(
        "stored bytes are believed", stored.adopt, "sha256_hex(data) != record.sha256", "False"
    ),
    in_function("a failed try never counts", shard._give_back, "counts=counts", "counts=False"),
)

#: What another layer makes good, or what is only wasted: seen where answers are compared one by one.
MODELLED: tuple[Mutant, ...] = (
    in_script("begin is never busy", "begin", "then return { 'BUSY' } end", "then end"),
    in_script(
        "begin runs what is not wanted", "begin", "if not wants_shards() then", "if false then"
    ),
    in_script(
        "begin believes any shard",
        "begin",
        ">= tonumber(redis.call('HGET', JOB, 'shards'))",
        "> 99",
    ),
    in_script(
        "commit of what is not wanted", "commit", "if not wants_shards() then return 'STOP' end"
    ),
    in_script(
        "commit counts twice",
        "commit",
        "if redis.call('GETBIT', DONE, shard) == 1 then return 'DUP' end",
    ),
    in_script("anybody extends", "extend", "~= ARGV[4]", "== 'nobody'"),
    in_script("anybody gives back", "release", "~= ARGV[4]", "== 'nobody'"),
    in_script("an outage counts as a try", "release", "if ARGV[7] == '0'", "if false"),
    in_script(
        "cancel beats finalizing", "cancel", "if wants_shards() then", "if not is_terminal() then"
    ),
    in_script(
        "resolve overwrites",
        "resolve",
        "if is_terminal() and status ~= ARGV[3] then return 'CONFLICT' end",
    ),
    in_script(
        *("a shard that stands back keeps its lease", "choose"),
        "redis.call('ZADD', LEASES, now, shard)",
    ),
    in_script(
        "two workers are given one shard", "choose", "redis.call('HDEL', of .. ':sent', shard)"
    ),
    in_script("a class passes its own", "choose", "'(' .. order_of(rank, 0)", "'+inf'"),
    in_script(
        "a small place is lent to a large job", "choose", "shards > 1 and math.huge or 1", "99"
    ),
    in_script(
        *("a doubled message is a turn", "choose"),
        *("and lease and tonumber(lease) > now)", "and false)"),
    ),
    in_script(
        "an ended job keeps its place", "prelude", "redis.call('ZREM', 'lm:order:' .. owner, id)"
    ),
    in_script("the queue's lease never doubles", "claim", "2 ^ (times - 1)", "1"),
    in_script("claim takes the holder's name along", "claim", "forget_holder(HOLDERS, shard)"),
    in_script(
        "a finisher is not waited for", "claim", "due_at(now + tonumber(ARGV[7]))", "due_at(now)"
    ),
    in_script("owners are not taken in turn", "due", "redis.call('INCR', 'lm:turn')", "0"),
    in_script(
        *("a place is never given back", "prelude"),
        *("if redis.call('ZREM', 'lm:reserved:' .. name, place) == 0 then", "if true then"),
    ),
    in_script("slots are counted at every beat", "heartbeat", "ARGV[4] - before", "ARGV[4]"),
    in_script(
        "a live job is forgotten",
        "forget",
        "if status and not is_terminal() then return status end",
    ),
)
