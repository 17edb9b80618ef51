// What every page needs. Pages with an editor or a log load those themselves.
import "./time.js";
import "./theme.js";
import "./stream.js";
import "./live.js";
import "./confirm.js";
import "./copy.js";
import "./select.js";
import "./reveal.js";
import "./palette.js";
