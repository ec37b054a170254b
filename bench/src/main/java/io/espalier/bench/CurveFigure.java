package io.espalier.bench;

import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendPosition;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Curves in a PNG file. */
final class CurveFigure {
    private static final int WIDTH = 720;
    private static final int HEIGHT = 420;

    private CurveFigure() {}

    /** Where something lies along both axes. */
    record Point(double x, double y) {}

    /** Draws them, with a mark at each point. */
    static void draw(String x, String y, Map<String, List<Point>> curves, Path png)
            throws IOException {
        XYChart chart =
                new XYChartBuilder()
                        .width(WIDTH)
                        .height(HEIGHT)
                        .xAxisTitle(x)
                        .yAxisTitle(y)
                        .build();
        chart.getStyler()
                .setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Line)
                .setChartBackgroundColor(Color.WHITE)
                .setLegendPosition(LegendPosition.InsideSW)
                .setMarkerSize(7);
        curves.forEach((name, points) ->
                chart.addSeries(
                        name,
                        points.stream().mapToDouble(Point::x).toArray(),
                        points.stream().mapToDouble(Point::y).toArray()));
        Files.createDirectories(png.toAbsolutePath().getParent());
        BitmapEncoder.saveBitmap(chart, png.toString(), BitmapFormat.PNG);
    }
}
