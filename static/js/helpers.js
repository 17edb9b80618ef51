// The helper API as the editor completes and explains it, in three languages: one
// table for all. A row has what the call does, and for each language how it is
// shown and, where that is not the same, what is put into the script.

const table = [
  ["What the run was started with, or nothing.",
    ["cronium.input()"], ["cronium.input()"], ["cronium_input [.path]", "$(cronium_input .name)"]],
  ["The result of the run: anything that JSON can hold. The last call counts.",
    ["cronium.output(data)", "cronium.output({})"], ["cronium.output(data)", "cronium.output({})"], ["cronium_output JSON", "cronium_output '{}'"]],
  ["The event that runs: its id, name and more.",
    ["cronium.event()", 'cronium.event()["name"]'], ["cronium.event()", "cronium.event().name"], ["cronium_event [.path]", "$(cronium_event .name)"]],
  ["Set the condition of the run. The last call counts.",
    ["cronium.set_condition(value)", "cronium.set_condition(True)"], ["cronium.setCondition(value)", "cronium.setCondition(true)"],
    ["cronium_set_condition true|false", "cronium_set_condition true"]],
  ["The value of a variable or secret; an error if it is not there and no default is given.",
    ["cronium.get_variable(key, default)", 'cronium.get_variable("KEY")'], ["cronium.getVariable(key, { default })", 'await cronium.getVariable("KEY")'],
    ["cronium_get_variable KEY [DEFAULT]", '"$(cronium_get_variable KEY)"']],
  ["Set a variable.",
    ["cronium.set_variable(key, value)", 'cronium.set_variable("KEY", value)'], ["cronium.setVariable(key, value)", 'await cronium.setVariable("KEY", value)'],
    ["cronium_set_variable [--json] KEY VALUE", 'cronium_set_variable KEY "$value"']],
  ["Delete a variable; false if there was none.",
    ["cronium.delete_variable(key)", 'cronium.delete_variable("KEY")'], ["cronium.deleteVariable(key)", 'await cronium.deleteVariable("KEY")'],
    ["cronium_delete_variable KEY"]],
  ["Whether there is such a variable; in Bash the exit code tells.",
    ["cronium.variable_exists(key)", 'cronium.variable_exists("KEY")'], ["cronium.variableExists(key)", 'await cronium.variableExists("KEY")'],
    ["cronium_variable_exists KEY"]],
  ["Add to a number, as one step. What is not there is 0.",
    ["cronium.increment_variable(key, by)", 'cronium.increment_variable("KEY")'], ["cronium.incrementVariable(key, by)", 'await cronium.incrementVariable("KEY")'],
    ["cronium_increment_variable KEY [BY]", "cronium_increment_variable KEY"]],
  ["Append to a list or a text, as one step; gives its length.",
    ["cronium.append_variable(key, value)", 'cronium.append_variable("KEY", value)'], ["cronium.appendVariable(key, value)", 'await cronium.appendVariable("KEY", value)'],
    ["cronium_append_variable [--json] KEY VALUE", 'cronium_append_variable KEY "$value"']],
  ["The variables whose names begin with a prefix.",
    ["cronium.list_variables(prefix)", 'cronium.list_variables("")'], ["cronium.listVariables(prefix)", 'await cronium.listVariables("")'],
    ["cronium_list_variables [PREFIX]", "cronium_list_variables"]],
  ["Set a variable if it has the expected value, as one step; tells whether it was set.",
    ["cronium.compare_and_set(key, expected, value)", 'cronium.compare_and_set("KEY", None, value)'],
    ["cronium.compareAndSet(key, expected, value)", 'await cronium.compareAndSet("KEY", null, value)'],
    ["cronium_compare_and_set_variable KEY EXPECTED VALUE", 'cronium_compare_and_set_variable KEY null "$value"']],
  ["Keep a file with the run: a path, or what is read to its end, with a name.",
    ["cronium.save_artifact(path, name)", 'cronium.save_artifact("report.csv")'], ["cronium.saveArtifact(path, name)", 'await cronium.saveArtifact("report.csv")'],
    ["cronium_save_artifact PATH|- [NAME]", "cronium_save_artifact report.csv"]],
  ["The same calls for asyncio, with await.", ["cronium.AsyncCronium()"], null, null],
  ["Something that was asked of Cronium did not work.", ["cronium.CroniumError"], ["cronium.CroniumError"], null],
  ["Cronium refused a call; its status is as in HTTP.", ["cronium.CroniumAPIError"], ["cronium.CroniumAPIError"], null],
  ["No answer came in the time that the caller gave.", ["cronium.CroniumTimeoutError"], ["cronium.CroniumTimeoutError"], null],
];

// of is a language: the line that a script needs first, and its column of the
// table.
const of = (begin, column) => ({
  import: begin,
  calls: table.filter((row) => row[column]).map((row) => {
    const [sign, insert = sign] = row[column];
    return { name: sign.match(/^[\w.]+/)[0], sign, insert, text: row[0] };
  }),
});

export const helpers = {
  python: of("import cronium", 1),
  javascript: of('const cronium = require("cronium");', 2),
  sh: of("source cronium.sh", 3),
};
