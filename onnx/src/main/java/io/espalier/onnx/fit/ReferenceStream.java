package io.espalier.onnx.fit;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;

/**
 * Data on its way through a finished model: it goes on as far as the value asked for, so values are
 * asked for in the order in which the model computes them.
 */
public final class ReferenceStream implements AutoCloseable {
    private final OnnxGraph graph;
    private final ValueStream stream;
    private final Queue<OnnxNode> ahead = new ArrayDeque<>();
    private final Map<String, Integer> readers = new HashMap<>();

    /** Begins with a model's inputs. */
    public ReferenceStream(OnnxModel model, List<Map<String, Tensor>> inputs) {
        this.graph = model.graph();
        this.stream = new ValueStream(model, inputs);
        graph.constants().forEach(stream::addConstant);
        for (OnnxNode node : graph.nodes()) {
            ahead.add(node);
            node.reads().forEach(read -> readers.merge(read, 1, Integer::sum));
        }
        stream.begin(this::live);
    }

    /** Keeps a value until it is released, though no node reads it any more. */
    public void hold(String value) {
        readers.merge(value, 1, Integer::sum);
    }

    /** Undoes what {@link #hold} did. */
    public void release(String value) {
        readers.merge(value, -1, Integer::sum);
    }

    /** Gives a constant other numbers, for the nodes that have not run yet. */
    public void setConstant(String name, ConstantTensor constant) {
        stream.addConstant(name, constant);
    }

    /** How many batches there are. */
    public int batches() {
        return stream.batches();
    }

    /** Whether a node of the model gives a value. */
    public boolean makes(String value) {
        return graph.producer(value) != null;
    }

    /** The value for one batch, which stays the stream's. */
    public Tensor value(String name, int batch) {
        while (isAhead(name)) {
            OnnxNode node = ahead.remove();
            stream.add(node);
            node.reads().forEach(read -> readers.merge(read, -1, Integer::sum));
        }
        return stream.value(name, batch);
    }

    private boolean isAhead(String name) {
        OnnxNode producer = graph.producer(name);
        return producer != null && ahead.contains(producer);
    }

    private Set<String> live() {
        Set<String> live = new HashSet<>();
        readers.forEach((value, left) -> {
            if (left > 0) {
                live.add(value);
            }
        });
        return live;
    }

    @Override
    public void close() {
        stream.close();
    }
}
