# Everything from a fresh clone, on Linux with Python 3.10 - 3.13, gcc and g++:
#   make demo     drive through a town and look at what the node saw: out/demo/report.html
#   make test     all tests, and a colcon build whose node is started
# Variables:
#   TORCH=torch==2.13.0                      the requirement that pip is given for PyTorch; a path or an address will do
#   PIP_ARGS='--index-url ...'               whatever pip needs
#   PYTHON=python3.12                        the interpreter of the environment
#   DRIVE=path CAMERA=file MODEL=file        the demo on your own bag, folder or video, its calibration, another model
#   ADAPT=1                                  the demo with a learner beside the node: frozen and adapted side by side
#   TEST_JOBS=2                              tests side by side; those on a ROS graph run one after the other
#   CPU=1                                    PyTorch's build for machines without an NVIDIA GPU, a small download
SHELL := /bin/bash
PYTHON ?= python3
TORCH ?= torch
PIP_ARGS ?=
CPU ?=
ADAPT ?=
DRIVE ?=
MODEL ?=
CAMERA ?=
PYTEST_ARGS ?=
TEST_JOBS ?= 2

TORCH_ARGS := $(if $(CPU),--index-url https://download.pytorch.org/whl/cpu)
KILTED := 'ros-rclpy[fastrtps]~=9.1' ros-sensor-msgs~=5.5 ros-std-msgs~=5.5 ros-geometry-msgs~=5.5 ros-nav-msgs~=5.5 \
          ros-diagnostic-msgs~=5.5 ros-std-srvs~=5.5
JAZZY := 'ros-rclpy[fastrtps]~=7.1.6' ros-sensor-msgs~=5.3.6 ros-std-msgs~=5.3.6 ros-geometry-msgs~=5.3.6 \
         ros-nav-msgs~=5.3.6 ros-diagnostic-msgs~=5.3.6 ros-std-srvs~=5.3.6
BUILD_INPUTS := setup.py setup.cfg pyproject.toml package.xml Makefile \
                $(wildcard msg/*.msg srv/*.srv config/*.* config/recipes/*.yaml launch/*.launch.py) \
                semdepth_ros/message_build/generation.py semdepth_ros/message_build/compilation.py

# An environment of the ROS wheels sets these for its own Python; another environment's Python fails with them.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif
# A sourced ROS 2 must not be mixed with the wheels.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO RMW_IMPLEMENTATION
# A graph that nobody else sees. What is started sets the profile for large messages itself, fitted to /dev/shm.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.PHONY: venv demo test test-jazzy soak bench scale clean
venv: .venv/installed
demo: venv
	.venv/bin/semdepth demo --out out/demo $(if $(DRIVE),--drive '$(DRIVE)') $(if $(CAMERA),--camera '$(CAMERA)') \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(ADAPT),--adapt)

test: venv
	.venv/bin/python -m pytest test -n $(TEST_JOBS) $(PYTEST_ARGS)

bench: venv
	@mkdir -p out
	.venv/bin/semdepth bench --json out/bench.json

soak: venv
	.venv/bin/python test/soak.py

# Is the metric flag to be believed? An hour and more on two cores.
scale: venv
	.venv/bin/python test/scale_proof.py $(if $(MODEL),--model '$(MODEL)')

# The Jazzy wheels have message libraries of their own, so they get a copy of the sources too.
test-jazzy: .venv-jazzy/installed
	cd build/jazzy && SEMDEPTH_TEST_DATA='$(abspath ../shared/data)' \
	  '$(abspath .venv-jazzy)/bin/python' -m pytest test -m ros $(PYTEST_ARGS)

clean:
	rm -rf .venv .venv-jazzy build out install log semdepth_ros/msg semdepth_ros/srv semdepth_ros/*.so *.egg-info

.PRECIOUS: .venv/bin/python .venv-jazzy/bin/python
%/bin/python:
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install $(PIP_ARGS) --upgrade pip 'setuptools>=77.0.3,<80' wheel

.venv/installed: $(BUILD_INPUTS) | .venv/bin/python
	@echo '== ROS 2 Kilted from wheels'
	.venv/bin/python -m pip install $(PIP_ARGS) $(KILTED)
	@echo '== PyTorch, semdepth_ros and its messages'
	.venv/bin/python -m pip install $(PIP_ARGS) $(TORCH_ARGS) '$(TORCH)'
	.venv/bin/python -m pip install $(PIP_ARGS) --no-build-isolation -e '.[ros,train,report,dev]'
	@touch $@

.venv-jazzy/installed: $(BUILD_INPUTS) FORCE | .venv-jazzy/bin/python
	@rm -rf build/jazzy && mkdir -p build/jazzy
	@git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t build/jazzy
	.venv-jazzy/bin/python -m pip install $(PIP_ARGS) -q $(JAZZY)
	.venv-jazzy/bin/python -m pip install $(PIP_ARGS) -q $(TORCH_ARGS) '$(TORCH)'
	.venv-jazzy/bin/python -m pip install $(PIP_ARGS) -q --no-build-isolation -e 'build/jazzy[train,report,dev]'
	@touch $@
FORCE:
