"""A parameter table declared on a node, and its valid values."""
from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from semdepth_ros.bridge.parameters import CONFIGURE, START, Parameter


class DeclaredParameters:
    """Declares a table on a node and checks every change; read values with parameters['name'], from any thread.

    Nothing is done when a parameter changes but for a line in the log: whoever uses one reads it anew, so that checking
    has no side effects. Values given at start under names that nobody knows are warned of.

    :param is_configured: returns whether the node holds on to what it read when it was configured
    :raises ValueError: a value given at start is not valid
    """

    def __init__(self, node: Node, table: Collection[Parameter], is_configured: Callable[[], bool]):
        self._node, self._table, self._is_configured = node, {p.name: p for p in table}, is_configured
        node.add_on_set_parameters_callback(self._check)
        for parameter in table:
            try:
                node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter))
            except ParameterException as error:
                raise ValueError(f'parameter {parameter.name}: {error}') from error
        self._told = {name: self[name] for name in self._table}
        if hasattr(node, 'add_post_set_parameters_callback'):  # not on Humble
            node.add_post_set_parameters_callback(self._tell)
        self._warn_of_unknown()

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value in the type of its table."""
        return self._table[name].validated(self._node.get_parameter(name).value)

    def _check(self, changes: list[RosParameter]) -> SetParametersResult:
        for change in changes:
            parameter = self._table.get(change.name)
            if parameter is None:
                continue
            try:
                value = parameter.validated(change.value)
            except ValueError as error:
                return SetParametersResult(successful=False, reason=str(error))
            held = parameter.change == CONFIGURE and self._node.has_parameter(change.name) and self._is_configured()
            if held and value != self[change.name]:
                reason = f'{change.name} is read when the node is configured: clean it up first'
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _tell(self, changes: list[RosParameter]) -> None:
        """Log what has changed."""
        for name in [change.name for change in changes if change.name in self._table]:
            before, self._told[name] = self._told[name], self[name]
            if self._told[name] != before:
                self._node.get_logger().info(f'parameter {name} is {self._told[name]!r} from now on, no longer {before!r}')

    def _warn_of_unknown(self) -> None:
        """Name what was given at start and nobody has declared; rclpy itself says nothing of it."""
        given = getattr(self._node, '_parameter_overrides', {})  # rclpy has no public way to them
        for name in given:
            if self._node.has_parameter(name) or name.startswith('qos_overrides.'):
                continue
            likely = get_close_matches(name, self._table, 1)
            meant = f'; is {likely[0]} meant?' if likely else ''
            self._node.get_logger().warning(f'parameter {name} is unknown here and has no effect{meant}')


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    """Return the description for rclpy.

    Numbers with a fraction are typed by the table, so that 80 will do for 80.0, and so are those that may be on or off.
    """
    kind = type(parameter.default)
    descriptor = ParameterDescriptor(description=parameter.explanation, read_only=parameter.change == START,
                                     additional_constraints=parameter.range_text, dynamic_typing=kind is float or parameter.is_switch)
    if parameter.maximum is not None:
        bounds = {'from_value': kind(parameter.minimum), 'to_value': kind(parameter.maximum)}
        if kind is int:
            descriptor.integer_range = [IntegerRange(**bounds)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(**bounds)]
    return descriptor
