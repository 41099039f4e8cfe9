"""Why a request costs what it costs: its instructions by Python function, counted exactly."""
