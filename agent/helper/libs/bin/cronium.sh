# What a script can ask of Cronium, which runs it:
#
#   source cronium.sh
#
#   name=$(cronium_input .user.name)       # what the run was started with, or a part of it
#   cronium_output '{"rows": 3}'           # what the run gives back, as JSON; "-" reads it
#   cronium_set_condition true             # what follows on a condition
#   cronium_event .name                    # the event that is run, or a part of it
#   key=$(cronium_get_variable API_KEY)    # a variable or secret of the workspace
#   cronium_save_artifact report.csv       # a file that is kept with the run
#
# `cronium help` lists all of them. Each returns 1 and says why on standard error when
# it did not work; cronium_variable_exists and cronium_compare_and_set_variable return
# 1 for "no" and 2 then.

cronium_input() { command cronium input "$@"; }
cronium_output() { command cronium output "$@"; }
cronium_event() { command cronium event "$@"; }
cronium_set_condition() { command cronium set-condition "$@"; }
cronium_get_variable() { command cronium get-variable "$@"; }
cronium_set_variable() { command cronium set-variable "$@"; }
cronium_delete_variable() { command cronium delete-variable "$@"; }
cronium_variable_exists() { command cronium variable-exists "$@"; }
cronium_increment_variable() { command cronium increment-variable "$@"; }
cronium_append_variable() { command cronium append-variable "$@"; }
cronium_list_variables() { command cronium list-variables "$@"; }
cronium_compare_and_set_variable() { command cronium compare-and-set-variable "$@"; }
cronium_compare_and_set() { command cronium compare-and-set-variable "$@"; }
cronium_save_artifact() { command cronium save-artifact "$@"; }
cronium_call() { command cronium call "$@"; }
