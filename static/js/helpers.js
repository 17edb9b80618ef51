// The helper API as the editor completes and explains it, in three languages.
// import is the line that a script needs first.

export const helpers = {
  python: {
    import: "import cronium",
    calls: [
      { name: "cronium.input", sign: "cronium.input()", insert: "cronium.input()", text: "What the run was started with; None if it has no input." },
      { name: "cronium.output", sign: "cronium.output(data)", insert: "cronium.output({})", text: "The result of the run: anything that JSON can hold. The last call counts." },
      { name: "cronium.event", sign: "cronium.event()", insert: 'cronium.event()["name"]', text: "The event that runs: a dict with its id, name and more." },
      { name: "cronium.set_condition", sign: "cronium.set_condition(value)", insert: "cronium.set_condition(True)", text: "Set the condition of the run to True or False. The last call counts." },
      { name: "cronium.AsyncCronium", sign: "cronium.AsyncCronium()", insert: "cronium.AsyncCronium()", text: "The same calls for asyncio, with await." },
      { name: "cronium.CroniumError", sign: "cronium.CroniumError", insert: "cronium.CroniumError", text: "Something that was asked of Cronium did not work." },
      { name: "cronium.CroniumAPIError", sign: "cronium.CroniumAPIError", insert: "cronium.CroniumAPIError", text: "Cronium refused a call; status_code is as in HTTP." },
      { name: "cronium.CroniumTimeoutError", sign: "cronium.CroniumTimeoutError", insert: "cronium.CroniumTimeoutError", text: "No answer came in the time that the caller gave." },
    ],
  },
  javascript: {
    import: 'const cronium = require("cronium");',
    calls: [
      { name: "cronium.input", sign: "cronium.input()", insert: "cronium.input()", text: "What the run was started with; null if it has no input." },
      { name: "cronium.output", sign: "cronium.output(data)", insert: "cronium.output({})", text: "The result of the run: anything that JSON can hold. The last call counts." },
      { name: "cronium.event", sign: "cronium.event()", insert: "cronium.event().name", text: "The event that runs: an object with its id, name and more." },
      { name: "cronium.setCondition", sign: "cronium.setCondition(value)", insert: "cronium.setCondition(true)", text: "Set the condition of the run to true or false. The last call counts." },
      { name: "cronium.CroniumError", sign: "cronium.CroniumError", insert: "cronium.CroniumError", text: "Something that was asked of Cronium did not work." },
      { name: "cronium.CroniumAPIError", sign: "cronium.CroniumAPIError", insert: "cronium.CroniumAPIError", text: "Cronium refused a call; statusCode is as in HTTP." },
      { name: "cronium.CroniumTimeoutError", sign: "cronium.CroniumTimeoutError", insert: "cronium.CroniumTimeoutError", text: "No answer came in the time that the caller gave." },
    ],
  },
  sh: {
    import: "source cronium.sh",
    calls: [
      { name: "cronium_input", sign: "cronium_input [.path]", insert: "$(cronium_input .name)", text: "What the run was started with, or a part of it." },
      { name: "cronium_output", sign: "cronium_output JSON", insert: "cronium_output '{}'", text: "The result of the run, as JSON; - reads it from standard input. The last call counts." },
      { name: "cronium_event", sign: "cronium_event [.path]", insert: "$(cronium_event .name)", text: "The event that runs, or a part of it." },
      { name: "cronium_set_condition", sign: "cronium_set_condition true|false", insert: "cronium_set_condition true", text: "Set the condition of the run. The last call counts." },
    ],
  },
};
