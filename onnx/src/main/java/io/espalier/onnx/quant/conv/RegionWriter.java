package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.ConvolutionQuantization.StepListener;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Writes a model anew with some of its units in integers. A value of the float graph has up to two
 * forms here: floats under its own name, and integers, channels last. The form that is missing is
 * written when it is asked for.
 */
final class RegionWriter {
    private static final List<Long> TO_CHANNELS_LAST = List.of(0L, 2L, 3L, 1L);
    private static final List<Long> TO_CHANNELS_FIRST = List.of(0L, 3L, 1L, 2L);

    /** Since which version the standard has QuantizeLinear; before, the runtime alone. */
    private static final long CONVERTS_SINCE = 10;

    private final OnnxGraph source;
    private final OnnxModel target;
    private final OnnxGraph graph;
    private final String conversions;
    private final Calibrator calibrator;
    private final ConvolutionWriter convolutions;
    private final StoredWeights stored = new StoredWeights(this);
    private final WeightRounding rounding;
    private final Map<String, IntegerValue> integers = new HashMap<>();
    private final Map<String, AffineScale> codes = new HashMap<>();
    private final Set<String> floats = new HashSet<>();
    private final Map<String, Integer> readersLeft = new HashMap<>();
    private final Set<String> current = new HashSet<>();
    private final Set<OnnxNode> keptLayout;
    private final Map<String, Unit> unitOfNode = new LinkedHashMap<>();
    private @Nullable Unit writing;

    /** Prepares for a model, which stays as it is. */
    RegionWriter(OnnxModel model, Calibrator calibrator, WeightRounding rounding) {
        this.source = model.graph();
        this.keptLayout = KeptLayout.in(model);
        this.target = model.withOpset(OnnxNode.MICROSOFT, 1);
        this.graph = target.graph();
        this.conversions = domainOfConversions(model);
        this.calibrator = calibrator;
        this.rounding = rounding;
        this.convolutions = new ConvolutionWriter(this, calibrator, rounding);
        graph.nodes().forEach(graph::remove);
        graph.constants().forEach(calibrator::wrote);
        calibrator.begin(this::live);
        source.inputs().forEach(input -> floats.add(input.getName()));
        floats.addAll(source.constants().keySet());
        for (OnnxNode node : source.nodes()) {
            node.reads().forEach(read -> readersLeft.merge(read, 1, Integer::sum));
        }
        source.outputs().forEach(output -> readersLeft.merge(output.getName(), 1, Integer::sum));
    }

    /** The model with these units in integers, all else in floats. */
    OnnxModel write(Collection<Unit> placement) {
        return write(placement, (done, all) -> {});
    }

    /** The same, telling somebody how many of its layers are done. */
    OnnxModel write(Collection<Unit> placement, StepListener listener) {
        var units = new HashMap<OnnxNode, Unit>();
        placement.forEach(unit -> unit.nodes().forEach(node -> units.put(node, unit)));
        if (placement.isEmpty()) {
            keptLayout.clear(); // nothing is transposed
        }
        int all = (int) source.nodes().stream().filter(node -> isLayer(node, units)).count();
        int done = 0;
        for (OnnxNode node : source.nodes()) {
            Unit unit = units.get(node);
            if (unit == null) {
                writeFloat(node);
                finish(List.of(node));
            } else if (node.equals(unit.nodes().getLast())) {
                writeUnit(unit);
                finish(unit.nodes());
            }
            if (isLayer(node, units)) {
                listener.at(++done, all);
            }
        }
        source.outputs().forEach(output -> floats(output.getName()));
        graph.removeUnused();
        return target;
    }

    /** Convolutions and what ends a unit: what takes time to be fitted. */
    private static boolean isLayer(OnnxNode node, Map<OnnxNode, Unit> units) {
        Unit unit = units.get(node);
        return unit == null ? node.is("Conv") : node.equals(unit.nodes().getLast());
    }

    /** The domain of QuantizeLinear and DequantizeLinear in models of this version. */
    static String domainOfConversions(OnnxModel versions) {
        return versions.opset() >= CONVERTS_SINCE ? "" : OnnxNode.MICROSOFT;
    }

    private void writeUnit(Unit unit) {
        writing = unit;
        switch (unit) {
            case Unit.Convolution convolution -> convolutions.writeIntegers(convolution);
            case Unit.Sum sum -> JoinWriter.write(sum, this, calibrator);
            case Unit.Gate gate -> JoinWriter.write(gate, this, calibrator);
            case Unit.Joined joined -> JoinWriter.write(joined, this, calibrator);
            case Unit.Pool pool -> PoolWriter.write(pool, this, calibrator);
        }
        writing = null;
    }

    private void writeFloat(OnnxNode node) {
        node.reads().forEach(this::floats);
        node.outputs().forEach(floats::add);
        if (keptLayout.contains(node)) {
            emitKept(node);
        } else if (!rounding.stores(node)) {
            emit(node);
        } else if (node.is("Conv")) {
            convolutions.writeFloat(node, stored);
        } else {
            emit(stored.store(node, rounding));
        }
    }

    /** Behind a reshaping to the shape that it has, a value keeps its layout. */
    private void emitKept(OnnxNode node) {
        String kept = graph.freshName(node.input(0) + "_kept");
        String shape = constant("same_shape", KeptLayout.SAME_SHAPE);
        emit(OnnxNode.of("Reshape", List.of(node.input(0), shape), kept));
        emit(node.withInput(0, kept));
    }

    /** Lets go what nobody will read any more. */
    private void finish(List<OnnxNode> nodes) {
        for (OnnxNode node : nodes) {
            node.reads().forEach(read -> readersLeft.merge(read, -1, Integer::sum));
        }
        current.clear();
    }

    /** What will be read later: by nodes that are not written yet, or by the rest of this unit. */
    private Set<String> live() {
        var live = new HashSet<>(current);
        readersLeft.forEach((value, readers) -> {
            if (readers > 0) {
                live.add(value);
                IntegerValue form = integers.get(value);
                if (form != null) {
                    live.add(form.codes());
                }
            }
        });
        return live;
    }

    /** The graph that the units are of. */
    OnnxGraph source() {
        return source;
    }

    /** Which unit a written node belongs to, by the node's name. */
    Map<String, Unit> unitOfNode() {
        return unitOfNode;
    }

    /** The codes of all values that have some, and of those inside a unit. */
    Map<String, AffineScale> codes() {
        return codes;
    }

    /** Says what codes a value inside a unit has. */
    void inside(String value, AffineScale scale) {
        codes.put(value, scale);
    }

    /** Adds a node. */
    void emit(OnnxNode node) {
        graph.add(node);
        current.addAll(node.outputs());
        if (writing != null) {
            unitOfNode.put(node.name(), writing);
        }
        calibrator.wrote(node);
    }

    /** Adds a constant under a name like this one, and gives its name. */
    String constant(String like, ConstantTensor constant) {
        String name = graph.addConstant(like, constant);
        calibrator.wrote(name, constant);
        return name;
    }

    /** The scale and the zero point of a value as constants without dimensions: their names. */
    List<String> constants(String value, AffineScale scale) {
        return List.of(
                constant(value + "_scale", ConstantTensor.scalar(scale.scale())),
                constant(
                        value + "_zero_point",
                        ConstantTensor.bytes(
                                ElementType.UINT8, List.of(), (byte) scale.zeroPoint())));
    }

    /** Says that a value has this form as integers now. */
    void define(String value, IntegerValue form) {
        integers.put(value, form);
        codes.put(value, form.scale());
    }

    /** The integers of a value. */
    IntegerValue integers(String value) {
        IntegerValue known = integers.get(value);
        if (known != null) {
            return known;
        }
        AffineScale scale = calibrator.ofFloats(value);
        IntegerValue form = quantized(value, scale);
        define(value, form);
        return form;
    }

    /** Writes a float value's integers in these codes. */
    IntegerValue quantized(String value, AffineScale scale) {
        String rows = graph.freshName(value + "_quantized");
        var inputs = new ArrayList<>(List.of(value));
        inputs.addAll(constants(value, scale));
        emit(OnnxNode.of(conversions, "QuantizeLinear", inputs, List.of(rows)));
        String codes = graph.freshName(value + "_codes");
        emit(OnnxNode.of("Transpose", List.of(rows), codes).with("perm", TO_CHANNELS_LAST));
        return new IntegerValue(codes, scale);
    }

    /** A value as floats, under its own name. */
    String floats(String value) {
        IntegerValue form = integers.get(value);
        if (form != null && floats.add(value)) {
            dequantize(value, form, value).forEach(this::emit);
        }
        return value;
    }

    /** Nodes that make floats of integers, channels first, under this name. */
    List<OnnxNode> dequantize(String value, IntegerValue form, String name) {
        String rows = graph.freshName(value + "_channels_last");
        var inputs = new ArrayList<>(List.of(form.codes()));
        inputs.addAll(constants(value, form.scale()));
        return List.of(
                OnnxNode.of(conversions, "DequantizeLinear", inputs, List.of(rows)),
                OnnxNode.of("Transpose", List.of(rows), name).with("perm", TO_CHANNELS_FIRST));
    }

    /** A name that no value has, like this one. */
    String freshName(String like) {
        return graph.freshName(like);
    }
}
