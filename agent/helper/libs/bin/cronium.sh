# What a script can ask of Cronium, which runs it:
#
#   source cronium.sh
#
#   name=$(cronium_input .user.name)     # what the run was started with, or a part of it
#   cronium_output '{"rows": 3}'         # what the run gives back, as JSON; "-" reads it
#   cronium_set_condition true           # what follows on a condition
#   cronium_event .name                  # the event that is run, or a part of it
#
# Each returns 1 and says why when it did not work.

cronium_input() { command cronium input "$@"; }
cronium_output() { command cronium output "$@"; }
cronium_event() { command cronium event "$@"; }
cronium_set_condition() { command cronium set-condition "$@"; }
cronium_call() { command cronium call "$@"; }
