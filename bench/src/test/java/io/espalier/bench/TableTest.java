package io.espalier.bench;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

class TableTest {
    @Test
    @DisplayName("the table has a row for everything it measures")
    void rows() {
        PrintStream before = System.out;
        var printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            Table.main(new String[] {"--quick"});
        } finally {
            System.setOut(before);
        }
        String table = printed.toString(StandardCharsets.UTF_8);

        for (String row :
                new String[] {
                    "L1 mask, 9,216 weights",
                    "global L1 mask, 24 layers, 13,824 weights",
                    "lnStructured, n = 2, dim = 0",
                    "training step, masked",
                    "histogram observer, 1,152 values",
                    "min/max per channel, 1,152 values",
                    "ResNet-18, calibrating step",
                    "ResNet-18, step of training for int8",
                    "ResNet-18, int8 by layers                     bare kernels",
                    "MobileNetV3, int8 by layers                   bare kernels",
                    " ns"
                }) {
            assertTrue(table.contains(row), () -> row + " is not in\n" + table);
        }
    }
}
