package conformance

const pythonValues = `
import cronium
i = cronium.input()
print(i["name"], i["n"] + 1, cronium.event()["name"])
cronium.output({"sum": i["n"] + 2, "text": "ü\n\"q\""})
cronium.set_condition(True)
`

const asyncValues = `
import asyncio, cronium
async def main():
    api = cronium.AsyncCronium()
    i = await api.input()
    print(i["name"], i["n"] + 1, (await api.event())["name"])
    await api.output({"sum": i["n"] + 2, "text": "ü\n\"q\""})
    await api.set_condition(True)
asyncio.run(main())
`

const pythonVariables = `
import cronium, hashlib, json
print(cronium.get_variable("GREETING"))
print(cronium.get_variable("MISSING", "fallback"))
try:
    cronium.get_variable("MISSING")
except cronium.CroniumAPIError as error:
    print(error.status_code)
cronium.set_variable("K_JSON", {"a": [1, True, None]})
print(json.dumps(cronium.get_variable("K_JSON"), separators=(",", ":")))
cronium.set_variable("K_TEXT", "-5 text")
print(cronium.get_variable("K_TEXT"))
print("yes" if cronium.variable_exists("K_TEXT") else "no")
print("yes" if cronium.variable_exists("MISSING") else "no")
print(cronium.increment_variable("K_COUNT", 3.5))
print(cronium.increment_variable("K_COUNT"))
print(cronium.append_variable("K_LIST", "x"))
print(cronium.append_variable("K_LIST", {"y": 1}))
print(json.dumps(cronium.get_variable("K_LIST"), separators=(",", ":")))
cronium.set_variable("GONE", None)
print(str(cronium.delete_variable("GONE")).lower())
print(str(cronium.delete_variable("GONE")).lower())
print("won" if cronium.compare_and_set("K_TEXT", "-5 text", "b") else "lost")
print("won" if cronium.compare_and_set("K_TEXT", "-5 text", "c") else "lost")
print("made" if cronium.compare_and_set_variable("K_NEW", None, 1) else "lost")
print(*[v["key"] for v in cronium.list_variables("K_")])
large = cronium.get_variable("LARGE")
print(hashlib.sha256(large.encode()).hexdigest())
cronium.set_variable("LARGER", large)
print(hashlib.sha256(cronium.get_variable("LARGER").encode()).hexdigest())
`

const asyncVariables = `
import asyncio, cronium, hashlib, json
async def main():
    api = cronium.AsyncCronium()
    print(await api.get_variable("GREETING"))
    print(await api.get_variable("MISSING", "fallback"))
    try:
        await api.get_variable("MISSING")
    except cronium.CroniumAPIError as error:
        print(error.status_code)
    await api.set_variable("K_JSON", {"a": [1, True, None]})
    print(json.dumps(await api.get_variable("K_JSON"), separators=(",", ":")))
    await api.set_variable("K_TEXT", "-5 text")
    print(await api.get_variable("K_TEXT"))
    print("yes" if await api.variable_exists("K_TEXT") else "no")
    print("yes" if await api.variable_exists("MISSING") else "no")
    print(await api.increment_variable("K_COUNT", 3.5))
    print(await api.increment_variable("K_COUNT"))
    print(await api.append_variable("K_LIST", "x"))
    print(await api.append_variable("K_LIST", {"y": 1}))
    print(json.dumps(await api.get_variable("K_LIST"), separators=(",", ":")))
    await api.set_variable("GONE", None)
    print(str(await api.delete_variable("GONE")).lower())
    print(str(await api.delete_variable("GONE")).lower())
    print("won" if await api.compare_and_set("K_TEXT", "-5 text", "b") else "lost")
    print("won" if await api.compare_and_set("K_TEXT", "-5 text", "c") else "lost")
    print("made" if await api.compare_and_set_variable("K_NEW", None, 1) else "lost")
    print(*[v["key"] for v in await api.list_variables("K_")])
    large = await api.get_variable("LARGE")
    print(hashlib.sha256(large.encode()).hexdigest())
    await api.set_variable("LARGER", large)
    print(hashlib.sha256((await api.get_variable("LARGER")).encode()).hexdigest())
asyncio.run(main())
`

const pythonArtifacts = `
import cronium, io
with open("report ü.txt", "w") as file:
    file.write("line of a report\n" * 80_000)
kept = cronium.save_artifact("report ü.txt")
print(kept["name"], kept["size"], kept["sha256"])
with open("report ü.txt", "rb") as file:
    cronium.save_artifact(file, "piped.txt")
print(cronium.save_artifact(io.BytesIO(), name="empty")["size"])
`

const asyncArtifacts = `
import asyncio, cronium, io
async def main():
    api = cronium.AsyncCronium()
    with open("report ü.txt", "w") as file:
        file.write("line of a report\n" * 80_000)
    kept = await api.save_artifact("report ü.txt")
    print(kept["name"], kept["size"], kept["sha256"])
    with open("report ü.txt", "rb") as file:
        await api.save_artifact(file, "piped.txt")
    print((await api.save_artifact(io.BytesIO(), name="empty"))["size"])
asyncio.run(main())
`

const pythonRefusals = `
import cronium
try:
    cronium.call("nothing")
except cronium.CroniumAPIError as error:
    print(error.status_code, error)
try:
    cronium.call("silence", timeout=0.05)
except cronium.CroniumTimeoutError:
    print("late")
try:
    cronium.set_variable("K", "x" * (3 << 20))
except cronium.CroniumAPIError as error:
    print(error.status_code)
try:
    cronium.save_artifact("missing.txt")
except FileNotFoundError:
    print("no such file")
try:
    cronium.set_variable("K", float("nan"))
except cronium.CroniumError:
    print("not JSON")
`

const asyncRefusals = `
import asyncio, cronium
async def main():
    api = cronium.AsyncCronium()
    try:
        await api.call("nothing")
    except cronium.CroniumAPIError as error:
        print(error.status_code, error)
    try:
        await api.call("silence", timeout=0.05)
    except cronium.CroniumTimeoutError:
        print("late")
    try:
        await api.set_variable("K", "x" * (3 << 20))
    except cronium.CroniumAPIError as error:
        print(error.status_code)
    try:
        await api.save_artifact("missing.txt")
    except FileNotFoundError:
        print("no such file")
    try:
        await api.set_variable("K", float("nan"))
    except cronium.CroniumError:
        print("not JSON")
asyncio.run(main())
`
