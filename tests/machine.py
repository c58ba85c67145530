"""What this machine has that some tests need."""

import os
import shutil

REAL_DATA = os.environ.get("BONEAGE_REAL_DATA", "")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
